"""Asset context in events, from rows on a real bus and from memory."""

import ipaddress
import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from enrich.lookups.assets import Assets
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.event import Event
from wardwatch.tables import Tables

PUMP = {
    "class": "medical_device",
    "criticality": "life_support",
    "department": "ICU",
    "clinical": "true",
    "ips": "10.3.8.31",
    "macs": "00-1B-63-84-45-E6",
    "hostnames": "pump-icu-31",
    "ae_titles": "PUMP31",
}


class Memory:
    """Rows in memory; ``read`` counts how often the table was read whole, which takes ``takes_s`` of its clock."""

    def __init__(self, rows: Mapping[str, Mapping[str, Any]]) -> None:
        self.assets, self.number, self.read = rows, 1, 0
        self.now_s, self.takes_s = 0.0, 0.0

    def rows(self, table: str, tenant: str = "") -> Mapping[str, Mapping[str, Any]]:
        self.read += 1
        self.now_s += self.takes_s
        return self.assets if (table, tenant) == ("assets", "icu") else {}

    def version(self, table: str) -> int:
        return self.number


def enriched(rows: Mapping[str, Mapping[str, Any]], tenant: str = "icu", **fields: Any) -> dict[str, Any]:
    doc = {name.replace("__", "."): value for name, value in fields.items()}
    event = Event(dict(doc), tenant, "hl7v2")
    Assets(Memory(rows)).enrich(event)
    return {name: value for name, value in event.doc.items() if name not in doc}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("source.ip", "10.3.8.31"),
        ("source.ip", "::ffff:10.3.8.31"),
        ("source.mac", "001B.6384.45E6"),
        ("dicom.calling_ae", " pump31 "),
        ("source.domain", "PUMP-ICU-31.ward.local."),
        ("source.domain", "pump-icu-31"),
    ],
)
def test_every_identity_leads_to_the_asset(field: str, value: str) -> None:
    assert enriched({"pump-31": PUMP}, **{field.replace(".", "__"): value}) == {
        "source.asset.known": True,
        "source.asset.id": "pump-31",
        "source.asset.class": "medical_device",
        "source.asset.criticality": "life_support",
        "source.asset.department": "ICU",
        "source.asset.clinical": True,
    }


@pytest.mark.parametrize(
    ("field", "side"),
    [
        ("destination.ip", "destination"),
        ("host.ip", "host"),
    ],
)
def test_each_side_has_its_own_context(field: str, side: str) -> None:
    fields: dict[str, Any] = {field.replace(".", "__"): ["10.3.8.31"]}
    found = enriched({"pump-31": PUMP}, **fields)
    assert found[f"{side}.asset.id"] == "pump-31"
    assert all(name.startswith(side) for name in found)


def test_the_destination_of_a_transfer_is_told_by_the_move_and_not_by_the_archive_that_was_called() -> None:
    rows = {"pacs": {"ae_titles": "PACS1"}, "ws": {"ae_titles": "WS10"}}
    found = enriched(rows, dicom__called_ae="PACS1", dicom__destination_ae="WS10")
    assert found["destination.asset.id"] == "ws"


def test_a_stranger_is_said_to_be_unknown_and_nothing_else() -> None:
    assert enriched({"pump-31": PUMP}, source__ip="10.3.8.99") == {"source.asset.known": False}


def test_an_event_that_names_nobody_is_left_as_it_is() -> None:
    assert enriched({"pump-31": PUMP}, event__action="x", source__ip="", host__name=7) == {}


def test_a_tenant_without_inventory_gets_no_context() -> None:
    assert enriched({"pump-31": PUMP}, tenant="other", source__ip="10.3.8.31") == {}


def test_a_stranger_can_not_borrow_an_ae_title() -> None:
    found = enriched({"pump-31": PUMP}, source__ip="10.3.6.77", dicom__calling_ae="PUMP31")
    assert found == {"source.asset.known": False}


def test_an_ae_title_speaks_for_an_asset_whose_address_nobody_wrote_down() -> None:
    row = {**PUMP, "ips": ""}
    assert enriched({"pump-31": row}, source__ip="10.3.6.77", dicom__calling_ae="PUMP31")["source.asset.known"]


def test_the_smallest_network_that_holds_an_address_has_it() -> None:
    rows: dict[str, dict[str, Any]] = {
        "a-site": {"ips": "10.0.0.0/8"},
        "b-ward": {"ips": ["10.3.8.0/24"]},
        "c-host": {"ips": "10.3.8.31"},
    }
    found = [enriched(rows, source__ip=ip)["source.asset.id"] for ip in ("10.3.8.31", "10.3.8.32", "10.9.9.9")]
    assert found == ["c-host", "b-ward", "a-site"]


def test_a_bad_row_is_counted_and_the_others_hold() -> None:
    tables = Memory({"bad": {"ips": "10.3.8.999"}, "pump-31": PUMP})
    assets = Assets(tables)
    event = Event({"source.ip": "10.3.8.31"}, "icu", "hl7v2")
    assets.enrich(event)
    assert (event.doc["source.asset.id"], assets.bad_rows) == ("pump-31", 1)


def test_the_index_is_built_again_only_when_the_table_changed_and_not_too_often() -> None:
    tables, event = Memory({"pump-31": PUMP}), Event({"source.ip": "10.3.8.31"}, "icu", "hl7v2")
    assets = Assets(tables, clock_s=lambda: tables.now_s)
    tables.takes_s = 2.0
    reads = []
    for now_s, version in ((0.0, 1), (100.0, 1), (200.0, 2), (221.0, 3), (223.0, 3)):
        tables.now_s, tables.number = now_s, version
        assets.enrich(event)
        reads.append(tables.read)
    assert reads == [1, 1, 2, 2, 3]


def test_among_100_000_assets_every_lookup_agrees_with_a_search_through_all() -> None:
    chance = random.Random(7)
    network = ipaddress.ip_network("10.0.0.0/8")
    ips = [str(network[offset]) for offset in chance.sample(range(2**24), 100_000)]
    tables = Memory({f"a{number}": {"ips": ip} for number, ip in enumerate(ips)})
    assets = Assets(tables)
    for number in chance.sample(range(100_000), 2000):
        event = Event({"source.ip": ips[number], "destination.ip": "192.0.2.1"}, "icu", "hl7v2")
        assets.enrich(event)
        assert event.doc["source.asset.id"] == f"a{number}"
        assert event.doc["destination.asset.known"] is False
    assert tables.read == 1


@pytest.fixture
def tables(tmp_path: Path) -> Iterator[Tables]:
    bus = open_bus(f"sqlite:///{tmp_path / 'bus.sqlite'}")
    bus.ensure_topics(topics.shared())
    tables = Tables(bus)
    yield tables
    tables.close()
    bus.close()


def test_rows_written_to_the_bus_are_in_force(tables: Tables) -> None:
    assets, event = Assets(tables), Event({"source.ip": "10.3.8.31"}, "icu", "hl7v2")
    assets.enrich(event)
    assert "source.asset.known" not in event.doc
    tables.put("assets", "icu", "pump-31", {"id": "pump-31", **PUMP})
    tables.catch_up()
    assets.enrich(event)
    assert event.doc["source.asset.criticality"] == "life_support"
