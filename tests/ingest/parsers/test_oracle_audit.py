"""Oracle audit files."""

from __future__ import annotations

import pytest

from ingest.parsers import Record, Site
from ingest.parsers.oracle_audit import PARSER, split
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for record in split(PARSER.sample()) for one in PARSER.parse(Record(record), Site())]


def test_a_statement_over_lines_with_quotes_inside_is_read_by_its_length() -> None:
    doc = docs()[0]
    assert doc["db.statement"] == (
        "select DOCT_CODE, sum(QTY) from HIS.DRUG_PRESC_DETAIL where NAME = ? and NOTE = ? group by DOCT_CODE"
    )
    assert (doc["user.name"], doc["source.ip"], doc["event.outcome"]) == ("SYS", "10.3.1.5", "success")


def test_a_refused_login_has_its_code_and_the_clients_address() -> None:
    doc = docs()[1]
    assert (doc["event.action"], doc["event.outcome"], doc["event.code"]) == ("db-connect", "failure", "1017")
    assert (doc["source.ip"], doc["source.port"]) == ("10.3.1.5", 50231)


def test_an_action_by_number_names_its_table() -> None:
    doc = docs()[2]
    assert (doc["event.action"], doc["db.objects"], doc["db.objects_role"]) == ("db-select", ["pat_visit"], ["patient"])


def test_a_time_with_an_offset_keeps_it_and_one_without_is_the_hospitals() -> None:
    assert [doc["@timestamp"] for doc in docs()[:2]] == ["2026-02-28T18:11:09.000Z", "2026-02-28T18:12:00.000Z"]


def test_the_header_of_a_file_is_no_record() -> None:
    header = b"Audit file /u01/adump/orcl_ora_8812.aud\nOracle Database 19c\n\n"
    assert list(split(header + PARSER.sample())) == list(split(PARSER.sample()))


@pytest.mark.parametrize("data", [b"", b"no audit", b"Sun Mar  1 02:11:09 2026\n"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError, match="Oracle"):
        PARSER.parse(Record(data), Site())
