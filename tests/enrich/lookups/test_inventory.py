"""The inventory's CSV: what hospitals export, and what must be refused by its line."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrich.lookups.inventory import mac, parse_csv, read_assets
from wardwatch.demo.hospital import HOSPITALS
from wardwatch.errors import SettingsError

HEADER = "id,name,class,criticality,department,clinical,owner,ips,macs,hostnames,ae_titles\n"
PUMP = (
    "pump-1,输液泵,medical_device,life_support,ICU,true,设备科,10.3.8.31;10.8.0.0/24,00-1B-63-84-45-E6,Pump-1,PUMP1\n"
)


def test_a_row_becomes_an_asset_with_its_lists_apart() -> None:
    (asset,) = parse_csv((HEADER + PUMP).encode())
    assert [str(place) for place in asset.ips] == ["10.3.8.31", "10.8.0.0/24"]
    assert (asset.macs, asset.hostnames, asset.ae_titles) == (("001b638445e6",), ("pump-1",), ("pump1",))
    assert (asset.kind, asset.criticality, asset.clinical) == ("medical_device", "life_support", True)


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
def test_a_spreadsheets_character_sets_are_read(charset: str, tmp_path: Path) -> None:
    file = tmp_path / "assets.csv"
    file.write_bytes((HEADER + PUMP).encode(charset))
    assert read_assets(file)[0].name == "输液泵"


@pytest.mark.parametrize("written", ["00:1b:63:84:45:e6", "00-1B-63-84-45-E6", "001B.6384.45E6", " 001b638445e6 "])
def test_a_mac_is_one_however_it_is_written(written: str) -> None:
    assert mac(written) == "001b638445e6"


@pytest.mark.parametrize(
    ("rows", "line", "word"),
    [
        (PUMP + "a,,,,,,,10.3.8.999,,,\n", 3, "ips"),
        (PUMP + "a,,,,,,,,00:1b:63,,\n", 3, "macs"),
        (PUMP + PUMP, 3, "stands twice"),
        (" ,,,,,,,,,,\n", 2, "id"),
        ("a,,,deadly,,,,,,,\n", 2, "criticality"),
        ("a,,,,,perhaps,,,,,\n", 2, "clinical"),
        ("a,,,,,,,,,,,extra\n", 2, "beyond the columns"),
        ('a,"unfinished\n', 2, "CSV"),
    ],
)
def test_a_wrong_row_is_refused_by_its_line_and_column(rows: str, line: int, word: str) -> None:
    with pytest.raises(SettingsError, match=word) as caught:
        parse_csv((HEADER + rows).encode(), "assets.csv")
    assert caught.value.record == f"assets.csv:{line}"


@pytest.mark.parametrize("header", ["", "name,ips\n", "id,id\n", "id,colour\n"])
def test_a_wrong_header_is_refused_with_the_columns_there_are(header: str) -> None:
    with pytest.raises(SettingsError, match="ae_titles"):
        parse_csv(header.encode())


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"absent\.csv"):
        read_assets(tmp_path / "absent.csv")


def test_the_simulated_hospitals_inventories_are_read_whole() -> None:
    for hospital in HOSPITALS:
        assert [asset.id for asset in parse_csv(hospital.inventory().encode())] == list(hospital.machines)


@given(st.binary(max_size=300))
def test_hostile_bytes_are_refused_or_read_but_never_crash(data: bytes) -> None:
    try:
        parse_csv(HEADER.encode() + data)
    except SettingsError:
        return


@given(st.lists(st.tuples(st.ip_addresses(), st.text("abc-", min_size=1)), unique_by=lambda row: row[1], max_size=20))
def test_addresses_that_python_writes_are_read_back(rows: list[tuple[object, str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([("id", "ips"), *((f"x{key}", str(where)) for where, key in rows)])
    found = parse_csv(out.getvalue().encode())
    expected = [getattr(where, "ipv4_mapped", None) or where for where, _ in rows]
    assert [asset.ips for asset in found] == [(where,) for where in expected]
