"""Rows of Oracle's unified audit."""

from __future__ import annotations

import pytest

from ingest.catalogue import events
from ingest.parsers import Record, Site
from ingest.parsers.oracle_unified import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def test_a_statement_has_its_shape_its_roles_and_the_client() -> None:
    doc = docs()[0]
    assert doc["db.group_by_roles"] == ["prescriber", "drug"]
    assert (doc["source.ip"], doc["source.port"], doc["db.client_program"]) == ("10.3.1.5", 50231, "plsqldev.exe")
    assert "李雷" not in str(doc)


def test_utc_goes_before_the_local_time() -> None:
    assert [doc["@timestamp"] for doc in docs()[:2]] == ["2026-02-28T18:11:09.120Z", "2026-02-28T18:12:00.000Z"]


def test_a_refused_login_is_one_and_names_in_lower_case_are_read() -> None:
    login, user = docs()[1:]
    assert (login["event.category"], login["event.outcome"]) == (["database", "authentication"], "failure")
    assert (user["event.category"], user["event.action"]) == (["database", "iam"], "db-create-user")
    assert user["user.target.name"] == "TEMP1"


@pytest.mark.parametrize("row", [b"{}", b"[]", b'{"ACTION_NAME": "SELECT", "EVENT_TIMESTAMP": "yesterday"}'])
def test_what_is_no_row_is_refused(row: bytes) -> None:
    with pytest.raises(ParseError):
        PARSER.parse(Record(row), Site())
