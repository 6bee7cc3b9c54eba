"""The quick parser of HL7 reads every message as the plain one does: each field cut out and read alone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers import Record, Site
from ingest.parsers.hl7v2 import PARSER, parse
from tests.ingest.parsers import plain_hl7v2
from wardwatch.errors import ParseError

RECEIVED = datetime(2026, 3, 1, tzinfo=UTC)
SITES = (Site(), Site(charset="gb18030"), Site(zone=ZoneInfo("Europe/Moscow")), Site(charset="no-such"))
MARKS = ("|^~\\&", "*!@\\%", "|~^\\&", "#$", "|^^^^", "a^~\\&", "|", "||")
NAMES = (
    "EVN",
    "PID",
    "PD1",
    "PV1",
    "ORC",
    "OBR",
    "OBX",
    "MSA",
    "MRG",
    "QPD",
    "QRD",
    "ZZZ",
    "PID ",
    " PV1",
    "pid",
    "",
    "MSH",
)
VALUES = [
    *("", '""', "A01", "a08", "MR1^^^H^MR", "x^^^H^SS~MR2^^^H^MR", "~b", "^second", "a&b^c", "李娜", " x ", "\\x"),
    *("20260301021109", "2026030102110", "20260301021160", "20269901021109", "19000101000000", "19001231235417"),
    *("20260301021109.5+0800", "202603010211", "２０２６０３０１０２１１０９", "Y", "n", "VIP", "F", "AA", "CA"),
    *("@PID.3.1^MR9", "@PID.5.1^wang~MR3", "UNICODE UTF-8", "GBK~ASCII", "GBK", "x" * 300, r"\F\\S\\T\\R\\E\ "),
]
fields = st.lists(st.sampled_from(VALUES) | st.text(max_size=6), max_size=21)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Messages with any separators and segments, and the fields of MSH mostly where they belong."""
    marks = draw(st.sampled_from(MARKS))
    bar = marks[0]
    head = ["MSH", marks[1:], *draw(fields)]
    if draw(st.integers(0, 3)):
        head = [
            "MSH",
            marks[1:],
            "HIS",
            "H^1",
            "LIS",
            "",
            "20260301021109",
            "",
            draw(st.sampled_from(KINDS)),
            *head[2:],
        ]
    segments = draw(st.lists(st.tuples(st.sampled_from(NAMES), fields), max_size=6))
    end = draw(st.sampled_from(("\r", "\n", "\r\n", "\r\r")))
    text = end.join(bar.join(segment) for segment in (head, *([name, *values] for name, values in segments)))
    charset = draw(st.sampled_from(("utf-8", "gb18030", "utf-16-le")))
    mark = draw(st.sampled_from((b"", b"", b"\xef\xbb\xbf", b"\x0b", b"FHS|^~\\&\r")))
    return (
        mark + text.encode(charset, "replace") + draw(st.sampled_from((b"", b"\r", b"\x1c\r", b"\r" + b"MSH|^~\\&|")))
    )


KINDS = ("ADT^A01", "ADT", "ORU^R01", "ORM^O01", "ACK", "QBP^Q21", "adt^a03", "", "A T", "MFN^M02")


@settings(max_examples=400, deadline=None)
@given(messages() | st.binary(max_size=60), st.sampled_from(SITES))
def test_every_message_is_read_as_by_the_plain_parser(data: bytes, site: Site) -> None:
    record = Record(data, peer="10.3.1.5", received=RECEIVED)
    assert outcome(parse, record, site) == outcome(plain_hl7v2.parse, record, site)


def test_the_sample_is_read_as_by_the_plain_parser() -> None:
    for data in PARSER.split(PARSER.sample()):
        record = Record(data, peer="10.3.1.5", received=RECEIVED)
        assert outcome(parse, record, Site()) == outcome(plain_hl7v2.parse, record, Site())


def outcome(read: object, record: Record, site: Site) -> object:
    """Return the documents, or the reason of a refusal."""
    assert callable(read)
    try:
        return [parsed.doc for parsed in read(record, site)]
    except ParseError as error:
        return error.reason
