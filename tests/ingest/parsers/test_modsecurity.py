"""ModSecurity and Coraza audit logs."""

from __future__ import annotations

import pytest

from ingest.parsers import parser
from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

SERIAL = """--a1b2c3d4-A--
[01/Mar/2026:02:11:09 +0800] Xv8AAQoJBwcAAA 198.51.100.7 52213 10.9.7.7 80
--a1b2c3d4-B--
GET /list.php?id=1 HTTP/1.1
Host: his.example
User-Agent: sqlmap/1.8
Cookie: secret

--a1b2c3d4-C--
secret=body
--a1b2c3d4-F--
HTTP/1.1 403 Forbidden

--a1b2c3d4-H--
Message: Access denied with code 403. [id "942100"] [msg "SQL Injection"] [data "secret"] [severity "CRITICAL"]

--a1b2c3d4-Z--
"""


def test_the_serial_form_and_json_tell_the_same_attack() -> None:
    serial, json = one("modsecurity", SERIAL).doc, sample("modsecurity")[0]
    names = ("@timestamp", "source.ip", "source.port", "destination.port", "rule.id", "url.domain", "event.type")
    assert part(serial, *names) == part(json, *names)
    assert part(serial, "event.kind", "event.outcome", "rule.name") == ("alert", "failure", "SQL Injection")
    assert "secret" not in str(serial)


def test_a_file_of_transactions_is_cut_at_part_a() -> None:
    found = parser("modsecurity")
    records = list(found.split((SERIAL + "\n" + SERIAL.replace("a1b2", "b1b2")).encode()))
    assert [record[:12] for record in records] == [b"--a1b2c3d4-A", b"--b1b2c3d4-A"]
    assert found.is_whole(SERIAL.encode())


def test_a_request_that_met_no_rule_is_no_alert() -> None:
    coraza, old = sample("modsecurity")[1:]
    assert part(coraza, "event.kind", "@timestamp", "event.outcome") == ("event", "2026-02-28T18:12:09.000Z", "success")
    assert part(old, "source.ip", "http.request.method", "@timestamp") == (
        "198.51.100.8",
        "GET",
        "2026-02-28T18:13:09.000Z",
    )


def test_its_events_are_a_web_servers() -> None:
    assert one("modsecurity", SERIAL).logsource == LogSource("modsecurity", "webserver", "audit")


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in ("--a1b2c3d4-B--\n" * 10_000, "-" * 200_000, '[id "' * 40_000, "[" * 200_000):
        assert one("modsecurity", SERIAL + text).doc["event.module"] == "modsecurity"


@pytest.mark.parametrize(
    "record",
    [
        "",
        "{}",
        '{"transaction":{}}',
        '{"transaction":{"time_stamp":"x"}}',
        "--a1b2c3d4-B--\nGET / HTTP/1.1\n",
        "--a1b2c3d4-A--\n[x] y\n",
    ],
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("modsecurity", record)
