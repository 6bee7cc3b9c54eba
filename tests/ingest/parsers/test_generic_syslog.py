"""Syslog of any device."""

from __future__ import annotations

import pytest

from ingest.catalogue import RECEIVED, events
from ingest.parsers import Record, Site
from ingest.parsers.generic_syslog import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def one(data: bytes) -> Document:
    (parsed,) = PARSER.parse(Record(data, received=RECEIVED), Site())
    return parsed.doc


def test_both_forms_give_the_same_fields() -> None:
    new, old, bare = docs()
    assert (new["host.name"], new["process.name"], new["process.pid"]) == ("ups-1", "upsd", 77)
    assert (old["host.name"], old["process.name"], old["process.pid"]) == ("switch-3", "sshd", 81)
    assert (new["log.level"], old["event.category"]) == ("informational", ["authentication"])
    assert bare["@timestamp"] == "2026-03-01T02:30:00.000Z"


def test_text_in_gbk_is_read() -> None:
    assert one("<13>Mar  1 02:11:09 ups app: 电池故障".encode("gbk"))["message"] == "电池故障"


@pytest.mark.parametrize("frame", [b"", b"no priority", b"<999>x"])
def test_a_frame_without_a_priority_is_refused(frame: bytes) -> None:
    with pytest.raises(ParseError):
        one(frame)
