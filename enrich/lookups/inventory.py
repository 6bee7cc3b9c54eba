"""A hospital's inventory: one row per asset, as its CSV or the table ``assets`` holds it (docs/reference/assets.md)."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wardwatch.errors import SettingsError
from wardwatch.event import Document

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Criticality = Literal["", "life_support", "therapy", "diagnostic", "his_core", "office"]

_MAC = re.compile(r"(?:[0-9a-f]{2}[:-]?){5}[0-9a-f]{2}|(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}")
_LISTED = 64  # values of one list: more is not one asset
_CSV_BYTES = 64 * 2**20


def address(text: str) -> Address:
    """Return the IP address, an IPv4-mapped IPv6 one as IPv4; raises ValueError."""
    found = ip_address(text.strip())
    return getattr(found, "ipv4_mapped", None) or found


def mac(text: str) -> str:
    """Return the twelve hexadecimal digits of a MAC written with colons, hyphens, Cisco dots or nothing (IEEE 802).

    Raises ValueError.
    """
    plain = text.strip().lower()
    if not _MAC.fullmatch(plain):
        raise ValueError(f"{text[:40]!r} is no MAC address")
    return re.sub("[^0-9a-f]", "", plain)


def name(text: str) -> str:
    """Return a host name or AE title as it is compared: without case, outer blanks and the root's dot."""
    return text.strip().rstrip(".").casefold()


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(";") if part.strip()] if isinstance(value, str) else value or []


def _place(value: object) -> Address | Network:
    text = str(value)
    return ip_network(text.strip(), strict=False) if "/" in text else address(text)


def _text(value: object) -> object:
    return value.strip() if isinstance(value, str) else "" if value is None else value


_List = BeforeValidator(_listed)
_Text = Annotated[str, BeforeValidator(_text), Field(max_length=200)]
_Place = Annotated[Address | Network, BeforeValidator(_place)]
_Name = Annotated[str, BeforeValidator(lambda value: name(str(value))), Field(min_length=1, max_length=253)]
_Mac = Annotated[str, BeforeValidator(lambda value: mac(str(value)))]


class Asset(BaseModel):
    """One asset; ``ips`` may name networks (``10.8.0.0/24``), lists may be written ``a;b``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Annotated[str, BeforeValidator(_text), Field(min_length=1, max_length=100)]
    name: _Text = ""
    kind: Annotated[_Text, Field(alias="class")] = ""
    criticality: Annotated[Criticality, BeforeValidator(_text)] = ""
    department: _Text = ""
    clinical: Annotated[bool, BeforeValidator(lambda value: _text(value) or False)] = False
    owner: _Text = ""
    ips: Annotated[tuple[_Place, ...], _List, Field(max_length=_LISTED)] = ()
    macs: Annotated[tuple[_Mac, ...], _List, Field(max_length=_LISTED)] = ()
    hostnames: Annotated[tuple[_Name, ...], _List, Field(max_length=_LISTED)] = ()
    ae_titles: Annotated[tuple[_Name, ...], _List, Field(max_length=_LISTED)] = ()

    @cached_property
    def facts(self) -> dict[str, str | bool]:
        """Return what an event is told of the asset, by the last part of the field's name; nothing empty."""
        texts = {
            "id": self.id,
            "name": self.name,
            "class": self.kind,
            "criticality": self.criticality,
            "department": self.department,
            "owner": self.owner,
        }
        return {"known": True, "clinical": self.clinical} | {key: text for key, text in texts.items() if text}

    def holds(self, where: Address) -> bool:
        """Tell whether the address is one of the asset's."""
        return any(where in place if isinstance(place, Network) else where == place for place in self.ips)


def read_rows(path: Path) -> dict[str, Document]:
    """Return the rows of the table ``assets`` in an inventory in CSV, checked; raises SettingsError."""
    return {
        asset.id: asset.model_dump(mode="json", by_alias=True, exclude_defaults=True) for asset in read_assets(path)
    }


def read_assets(path: Path) -> list[Asset]:
    """Return the assets of an inventory in CSV (UTF-8 with or without BOM, else GB 18030); raises SettingsError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"can't be read: {error.strerror}", step="assets", record=str(path)) from None
    return parse_csv(data, str(path))


def parse_csv(data: bytes, where: str = "assets") -> list[Asset]:
    """Return the assets of a CSV file; raises SettingsError naming the line of the first wrong row."""
    if len(data) > _CSV_BYTES:
        raise SettingsError(f"{len(data)} bytes, at most {_CSV_BYTES} are read", step="assets", record=where)
    reader = csv.DictReader(_decoded(data, where).splitlines(keepends=True), strict=True)
    assets: dict[str, Asset] = {}
    try:
        _check_columns(reader.fieldnames or (), where)
        for row in reader:
            asset = _asset(row, f"{where}:{reader.line_num}")
            if asset.id in assets:
                raise SettingsError(f"id {asset.id!r} stands twice", step="assets", record=f"{where}:{reader.line_num}")
            assets[asset.id] = asset
    except csv.Error as error:
        raise SettingsError(f"not CSV: {error}", step="assets", record=f"{where}:{reader.reader.line_num}") from None
    return list(assets.values())


def asset_of_row(key: str, row: Mapping[str, Any]) -> Asset:
    """Return the asset of a row of the table ``assets``; raises SettingsError."""
    return _asset({**row, "id": key}, f"assets/{key[:100]}")


def _asset(row: Mapping[Any, Any], where: str) -> Asset:
    try:
        return Asset.model_validate(row)
    except ValidationError as error:
        raise SettingsError(
            "; ".join(_fault(item) for item in error.errors()[:5]), step="assets", record=where
        ) from None


def _fault(item: Any) -> str:
    column = str(item["loc"][0])[:60]
    return f"a cell beyond the columns: {item['input']!r:.60}" if column == "None" else f"{column}: {item['msg']}"


def _check_columns(columns: Sequence[str], where: str) -> None:
    known = {field.alias or name for name, field in Asset.model_fields.items()}
    unknown = [column[:60] for column in columns if column not in known]
    if "id" not in columns or unknown or len(set(columns)) < len(columns):
        fault = (
            f"unknown columns {', '.join(unknown)}" if unknown else "the header needs the column id, each column once"
        )
        remedy = f"columns are {', '.join(sorted(known))}"
        raise SettingsError(fault, step="assets", record=f"{where}:1", remedy=remedy)


def _decoded(data: bytes, where: str) -> str:
    for charset in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(charset)
        except UnicodeDecodeError:
            continue
    raise SettingsError("neither UTF-8 nor GB 18030", step="assets", record=where)
