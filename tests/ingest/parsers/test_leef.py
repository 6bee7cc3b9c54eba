"""Log Event Extended Format."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


@pytest.mark.parametrize(
    "record",
    [
        "LEEF:1.0|Acme|Gate|1|x|src=10.3.1.5\tdst=203.0.113.8\taction=deny\tcat=Firewall",
        "LEEF:2.0|Acme|Gate|1|x|^|src=10.3.1.5^dst=203.0.113.8^action=deny^cat=Firewall",
        "LEEF:2.0|Acme|Gate|1|x|x5E|src=10.3.1.5^dst=203.0.113.8^action=deny^cat=Firewall",
        "LEEF:2.0|Acme|Gate|1|x||src=10.3.1.5\tdst=203.0.113.8\taction=deny\tcat=Firewall",
    ],
)
def test_attributes_are_separated_as_the_header_says(record: str) -> None:
    parsed = one("leef", f"<13>Mar  1 02:11:09 gate {record}")
    assert parsed.logsource == LogSource("acme", "firewall", "gate")
    assert part(parsed.doc, "source.ip", "destination.ip", "event.type", "event.outcome", "observer.name") == (
        "10.3.1.5",
        "203.0.113.8",
        ["connection", "denied"],
        "failure",
        "gate",
    )


@pytest.mark.parametrize(
    ("time", "read"),
    [
        ("devTime=1772302269000", "2026-02-28T18:11:09.000Z"),
        ("devTime=Mar 01 2026 02:11:09", "2026-02-28T18:11:09.000Z"),
        ("devTime=01/03/26 02:11:09\tdevTimeFormat=dd/MM/yy HH:mm:ss", "2026-02-28T18:11:09.000Z"),
        ("devTime=2026-03-01T02:11:09.5+0000\tdevTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ", "2026-03-01T02:11:09.500Z"),
    ],
)
def test_times_are_read_by_their_pattern(time: str, read: str) -> None:
    assert one("leef", f"LEEF:1.0|a|b|1|x|{time}").doc["@timestamp"] == read


@pytest.mark.parametrize(
    "record", ["", "LEEF:3.0|a|b|c|d|", "LEEF:1.0|a|b|c|d|devTime=1\tdevTimeFormat=yyyy", "LEEF:1.0|a|b|c|d|devTime=x"]
)
def test_what_is_no_leef_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("leef", record)


def test_the_sample_holds_a_login_a_connection_and_a_virus() -> None:
    assert [doc["event.category"][0] for doc in sample("leef")] == ["authentication", "network", "malware"]
