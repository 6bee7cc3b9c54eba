"""Files read in parts, and recognised by their first bytes."""

from __future__ import annotations

import tarfile
from io import BytesIO
from pathlib import Path
from typing import IO, cast
from zoneinfo import ZoneInfo

import orjson
import pytest

from ingest import reading
from ingest.parsers import evtx_file, parser
from ingest.recognising import recognise
from wardwatch.sources import ReadRecord, reader


@pytest.fixture(scope="module")
def sample_evtx() -> bytes:
    """An EVTX file of three chunks: one of SigmaHQ's, three times."""
    archive = Path(__file__).parents[3] / "shared" / "data" / "sigmahq-regression.tar.gz"
    if not archive.exists():
        pytest.skip("no folder shared/data beside the checkout")
    with tarfile.open(archive) as opened:
        member = next(each for each in opened if each.name.endswith(".evtx"))
        data = cast("IO[bytes]", opened.extractfile(member)).read()
    return data[:42] + b"\x03\x00" + data[44:4096] + 3 * data[4096 : 4096 + 65_536]


def read(data: bytes, source: str) -> list[ReadRecord]:
    return list(reader().read(BytesIO(data), source, name="file", zone=ZoneInfo("UTC"), charset="utf-8"))


@pytest.mark.parametrize(
    ("head", "source"),
    [
        (b"\x0bMSH|^~\\&|HIS|H1", "hl7v2"),
        (b'<?xml version="1.0"?>\n<AuditMessage>', "dicom_audit"),
        (b"<85>1 2026-03-01T02:11:09Z pacs1 a 9 - - <AuditMessage>", "dicom_audit"),
        (b"2026-03-01 02:11:09 fw %%01POLICY/6/POLICYDENY(l): vsys=public", "huawei_usg"),
        (b"<14>Mar  1 02:11:09 db mysql-server_auditing: his-db,hisapp", "mysql_audit"),
        (b"2026-03-01T02:11:09+08:00 his-app-01 sshd[911]: Accepted", "linux"),
        (b'\xef\xbb\xbf[\n  {"Event": {"System": {"EventID": 1}}},', "windows"),
        (b'{"EventID": 4624, "Channel": "Security"}', "windows"),
        (b'{"winlog": {"event_id": 1}, "@timestamp": "x"}', "windows"),
        (b'{"audit_record": {"name": "Query"}}', "mysql_audit"),
        (b'{"class": "general", "event": "status", "connection_id": 7}', "mysql_audit"),
        (b'{"event.dataset": "windows.sysmon", "winlog.event_id": 1}', "ecs"),
        (b'{"app": "portal", "user": {"name": "root"}}', "ecs"),
        (b'{"app": "por', ""),
        (b"plain words", ""),
        (b"", ""),
    ],
)
def test_the_first_bytes_of_a_file_tell_its_source(head: bytes, source: str) -> None:
    assert recognise(head)[0] == source


def test_an_array_of_indented_objects_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [{"n": number, "inner": {"text": '}{"'}} for number in range(500)]
    data = orjson.dumps(objects, option=orjson.OPT_INDENT_2)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 1000)
    assert max(len(block) for _, block in reading.blocks(BytesIO(data), parser("mysql_audit"))) < 2100
    records = read(data, "ecs")
    assert [record.number for record in records] == list(range(1, 501))
    assert [record.events[0].doc["n"] for record in records] == list(range(500))


def test_an_evtx_file_gives_the_same_records_in_parts(sample_evtx: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = [record.events[0].doc for record in read(sample_evtx, "windows")]
    monkeypatch.setattr(evtx_file, "PART_CHUNKS", 1)
    parts = [record.events[0].doc for record in read(sample_evtx, "windows")]
    assert len(whole) >= 3
    assert parts == whole


def test_an_evtx_file_that_is_cut_short_says_so_in_its_last_part(
    sample_evtx: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evtx_file, "PART_CHUNKS", 1)
    records = read(sample_evtx[:-65_536], "windows")
    assert [record.problem for record in records if record.problem] == ["EVTX file cut short"]


def test_a_document_that_is_parsed_already_keeps_its_id_and_its_fields() -> None:
    doc = {"event.id": "e1", "event.dataset": "linux.sshd", "message": "患者姓名: 李晓梅"}
    (record,) = read(orjson.dumps(doc), "ecs")
    assert record.events[0].doc == doc
