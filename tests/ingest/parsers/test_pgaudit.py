"""PostgreSQL pgaudit lines."""

from __future__ import annotations

import pytest

from ingest.catalogue import events
from ingest.parsers import Record, Site
from ingest.parsers.pgaudit import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def test_a_statement_over_lines_is_one_event_with_account_and_client() -> None:
    doc = docs()[0]
    assert doc["db.statement"] == "select name, value from patient_result where mrn = ? and note = ?"
    assert (doc["user.name"], doc["db.schema"], doc["source.ip"]) == ("lis", "lisdb", "10.3.1.5")


def test_rows_and_an_export_are_told() -> None:
    doc = docs()[1]
    assert (doc["db.rows"], doc["db.export"], doc["db.client_program"]) == (1503, True, "psql")


def test_a_zone_in_the_prefix_counts_and_an_ambiguous_one_is_the_hospitals() -> None:
    assert [doc["@timestamp"] for doc in docs()[:2]] == ["2026-02-28T18:11:09.120Z", "2026-03-01T02:12:00.000Z"]


def test_without_the_statement_the_object_is_known() -> None:
    assert (docs()[2]["event.action"], docs()[2]["db.objects_role"]) == ("db-select", ["patient"])


def test_a_grant_is_of_identity_management() -> None:
    assert docs()[3]["event.category"] == ["database", "iam"]


@pytest.mark.parametrize("line", [b"", b"2026-03-01 02:11:09 LOG:  checkpoint", b"AUDIT: SESSION,1,1,READ"])
def test_what_is_no_audit_line_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError, match="pgaudit"):
        PARSER.parse(Record(line), Site())
