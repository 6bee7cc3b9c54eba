"""Orthanc's log."""

from __future__ import annotations

import pytest

from ingest.catalogue import RECEIVED, events
from ingest.parsers import Record, Site
from ingest.parsers.orthanc import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def one(data: bytes) -> Document:
    (parsed,) = PARSER.parse(Record(data, received=RECEIVED), Site())
    return parsed.doc


def test_associations_name_the_peer_and_what_became_of_them() -> None:
    opened, closed, refused = docs()[:3]
    assert (opened["dicom.calling_ae"], opened["source.ip"], opened["event.outcome"]) == ("MODX", "10.3.1.9", "success")
    assert closed["event.type"] == ["connection", "end"]
    assert (refused["event.type"], refused["source.ip"]) == (["connection", "denied"], "10.3.1.77")


def test_a_deletion_by_http_is_one() -> None:
    doc = docs()[3]
    assert (doc["event.category"], doc["event.type"], doc["http.request.method"]) == (["web"], ["deletion"], "DELETE")


def test_the_year_is_the_last_one_in_which_the_time_had_come() -> None:
    line = b"I1231 23:00:00.000000 main.cpp:1] Orthanc has started"
    assert one(line)["@timestamp"] == "2025-12-31T15:00:00.000Z"


@pytest.mark.parametrize("line", [b"", b"started", b"I0230 02:11:09.120000 main.cpp:1] x"])
def test_what_is_no_line_of_orthanc_is_refused(line: bytes) -> None:
    with pytest.raises(ParseError):
        one(line)
