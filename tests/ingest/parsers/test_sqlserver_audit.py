"""SQL Server audit records."""

from __future__ import annotations

import pytest

from ingest.catalogue import events
from ingest.parsers import Record, Site
from ingest.parsers.sqlserver_audit import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def test_a_row_has_its_rows_account_and_shape() -> None:
    doc = docs()[0]
    assert (doc["db.rows"], doc["user.name"], doc["user.domain"]) == (1503, "ris", "HOSP")
    assert doc["db.statement"] == "select [name], [id_card] from [dbo].[patient] where name like ?"
    assert doc["db.objects_role"] == ["patient"]


def test_a_failed_login_is_one() -> None:
    doc = docs()[1]
    assert (doc["event.action"], doc["event.outcome"], doc["source.ip"]) == ("db-connect", "failure", "10.3.1.77")


def test_event_33205_reads_like_a_row() -> None:
    doc = docs()[2]
    assert doc["@timestamp"] == "2026-02-28T18:12:00.418Z"
    assert doc["db.statement"] == "select top ? * from [dbo].[patient] where name = ?"
    assert (doc["user.name"], doc["db.schema"], doc["event.outcome"]) == ("ris", "RIS", "success")


@pytest.mark.parametrize("row", [b"{}", b"", b'{"action_id": "SL", "event_time": "x"}'])
def test_what_is_no_record_is_refused(row: bytes) -> None:
    with pytest.raises(ParseError):
        PARSER.parse(Record(row), Site())
