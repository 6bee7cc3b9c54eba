"""Asset context: which machine of the inventory an event's source, destination and host are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from enrich.lookups import Rows
from enrich.lookups.inventory import Address, Asset, Network, address, asset_of_row, mac, name
from wardwatch.errors import SettingsError
from wardwatch.event import Document, Event

log = structlog.get_logger()

SIDES = {
    "source": (("source.mac",), ("source.ip",), ("dicom.calling_ae",), ("source.domain",)),
    "destination": (
        ("destination.mac",),
        ("destination.ip",),
        ("dicom.destination_ae", "dicom.called_ae"),
        ("destination.domain",),
    ),
    "host": (("host.mac",), ("host.ip",), (), ("host.name",)),
}
"""Side → fields with its MAC, IP address, AE title and name; of several fields the first that the event has."""

_Key = TypeVar("_Key")
_VALUES = 16  # of a field with a list
_REBUILD_SHARE = 10  # a rebuild that took 1 s is followed by 10 s without one


@dataclass
class Index:
    """Assets by each of their identities; of two assets that claim one identity the first in order of ids has it."""

    macs: dict[str, Asset] = field(default_factory=dict)
    ips: dict[Address, Asset] = field(default_factory=dict)
    networks: dict[tuple[int, int], dict[int, Asset]] = field(default_factory=dict)
    ae_titles: dict[str, Asset] = field(default_factory=dict)
    names: dict[str, Asset] = field(default_factory=dict)

    @classmethod
    def of(cls, assets: Iterable[Asset]) -> Index:
        """Return the index of the assets."""
        index = cls()
        for asset in sorted(assets, key=lambda each: each.id):
            for table, keys in ((index.macs, asset.macs), (index.ae_titles, asset.ae_titles)):
                for key in keys:
                    table.setdefault(key, asset)
            for key in asset.hostnames or ((name(asset.name),) if asset.name else ()):
                index.names.setdefault(key, asset)
            for place in asset.ips:
                index._add(place, asset)
        # the longest prefix is tried first
        index.networks = dict(sorted(index.networks.items(), key=lambda item: -item[0][1]))
        return index

    def _add(self, place: Address | Network, asset: Asset) -> None:
        if isinstance(place, Network):
            prefixes = self.networks.setdefault((place.version, place.prefixlen), {})
            prefixes.setdefault(int(place.network_address) >> (place.max_prefixlen - place.prefixlen), asset)
        else:
            self.ips.setdefault(place, asset)

    def __bool__(self) -> bool:
        return bool(self.macs or self.ips or self.networks or self.ae_titles or self.names)

    def by_mac(self, text: str) -> Asset | None:
        """Return the asset with the MAC; a text that is none is nobody's."""
        try:
            return self.macs.get(mac(text))
        except ValueError:
            return None

    def by_ip(self, where: Address) -> Asset | None:
        """Return the asset with the address, else the one with the smallest network that holds it."""
        if where in self.ips:
            return self.ips[where]
        for (version, length), prefixes in self.networks.items():
            if version == where.version and (found := prefixes.get(int(where) >> (where.max_prefixlen - length))):
                return found
        return None

    def by_name(self, text: str) -> Asset | None:
        """Return the asset with the host name, else with its first label."""
        full = name(text)
        return self.names.get(full) or self.names.get(full.partition(".")[0])


class Assets:
    """The lookup: adds ``<side>.asset.*`` (docs/reference/assets.md) where the tenant has an inventory."""

    def __init__(self, tables: Rows, *, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._tables = tables
        self._clock_s = clock_s
        self._built: dict[str, tuple[int, float, Index]] = {}
        self.bad_rows = 0

    def enrich(self, event: Event) -> None:
        """Add what is known of the event's source, destination and host."""
        if index := self._index(event.tenant):
            for side in SIDES:
                _enrich_side(event.doc, side, index)

    def _index(self, tenant: str) -> Index:
        version = self._tables.version("assets")
        built = self._built.get(tenant)
        # a load of 100,000 rows changes the version with every batch: rebuilding may take a tenth of the time
        if built and (built[0] == version or self._clock_s() < built[1]):
            return built[2]
        started_s = self._clock_s()
        index = Index.of(self._assets(tenant))
        ended_s = self._clock_s()
        self._built[tenant] = version, ended_s + _REBUILD_SHARE * (ended_s - started_s), index
        return index

    def _assets(self, tenant: str) -> Iterator[Asset]:
        for key, row in self._tables.rows("assets", tenant).items():
            try:
                yield asset_of_row(key, row)
            except SettingsError as error:
                self.bad_rows += 1
                log.error("bad_asset", tenant=tenant, record=error.record, reason=error.reason)


def _enrich_side(doc: Document, side: str, index: Index) -> None:
    macs, ips, ae_titles, names = (_texts(doc, fields) for fields in SIDES[side])
    if not (macs or ips or ae_titles or names):
        return
    where = [found for text in ips if (found := _address(text))]
    asset = _first(index.by_mac, macs) or _first(index.by_ip, where)
    if asset is None:
        # an AE title or a name is only a claim (PS3.8 has no proof of it): the sender's address must not deny it
        claims = [index.ae_titles.get(name(text)) for text in ae_titles] + [index.by_name(text) for text in names]
        asset = next((each for each in claims if each and _may_be(each, where)), None)
    if asset is None:
        doc[f"{side}.asset.known"] = False
        return
    for fact, value in asset.facts.items():
        doc[f"{side}.asset.{fact}"] = value


def _texts(doc: Document, fields: Sequence[str]) -> list[str]:
    found = next((doc[field] for field in fields if doc.get(field)), ())
    return [each for each in (found if isinstance(found, list) else [found])[:_VALUES] if isinstance(each, str)]


def _address(text: str) -> Address | None:
    try:
        return address(text)
    except ValueError:
        return None


def _first(find: Callable[[_Key], Asset | None], keys: Iterable[_Key]) -> Asset | None:
    return next((found for key in keys if (found := find(key))), None)


def _may_be(asset: Asset, where: list[Address]) -> bool:
    return not where or not asset.ips or any(asset.holds(each) for each in where)
