"""Sysmon for Linux."""

from __future__ import annotations

import pytest

from detections.logsource import of_document
from ingest.parsers import parser
from ingest.parsers.windows_events import KINDS
from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource

FIRST = next(parser("sysmon_linux").split(parser("sysmon_linux").sample())).decode()


def test_events_have_the_category_that_windows_sysmon_gives_their_id() -> None:
    records = list(parser("sysmon_linux").split(parser("sysmon_linux").sample()))
    parsed = [one("sysmon_linux", record) for record in records]
    assert [each.logsource for each in parsed] == [
        LogSource("linux", category, "sysmon")
        for category in (
            "process_creation",
            "network_connection",
            "file_event",
            "process_termination",
            "file_delete",
            "raw_access_thread",
            "sysmon_status",
        )
    ]
    assert [of_document(each.doc) for each in parsed] == [each.logsource for each in parsed]


def test_the_categories_of_bare_documents_are_those_of_every_event_of_linux() -> None:
    for event_id in (1, 3, 4, 5, 9, 11, 16, 23, 255):
        parsed = one("sysmon_linux", FIRST.replace("<EventID>1<", f"<EventID>{event_id}<"))
        assert parsed.logsource.category == KINDS["sysmon", event_id].sigma
        assert of_document(parsed.doc) == parsed.logsource


def test_a_started_process_has_its_command_its_parent_and_its_account() -> None:
    assert part(
        sample("sysmon_linux")[0],
        "@timestamp",
        "host.name",
        "process.executable",
        "process.name",
        "process.pid",
        "process.command_line",
        "process.working_directory",
        "process.parent.executable",
        "process.parent.command_line",
        "process.hash.sha256",
        "user.name",
        "user.id",
    ) == (
        "2026-02-28T18:11:09.120Z",
        "his-app-01",
        "/usr/bin/dash",
        "dash",
        4188,
        'sh -c "id > /tmp/.o"',
        "/opt/his/webapps",
        "/usr/lib/jvm/jre/bin/java",
        "java -jar his.jar",
        "0a" * 32,
        "tomcat",
        "991",
    )


def test_a_connection_has_both_ends_and_who_began_it() -> None:
    assert part(
        sample("sysmon_linux")[1], "source.ip", "destination.ip", "destination.port", "sysmon.initiated", "process.name"
    ) == ("10.9.7.7", "203.0.113.8", 443, "true", "curl")


def test_an_id_that_is_not_known_is_an_event_of_the_host() -> None:
    parsed = one("sysmon_linux", FIRST.replace("<EventID>1<", "<EventID>99<"))
    assert parsed.logsource == LogSource("linux", "", "sysmon")
    assert part(parsed.doc, "event.action", "event.dataset") == ("sysmon-event", "sysmon.other")


@pytest.mark.parametrize(
    "record",
    [
        "",
        "<Event></Event>",
        FIRST[:-30],
        FIRST.replace("Linux-Sysmon", "Other"),
        FIRST.replace("<EventID>1<", "<EventID>x<"),
        FIRST.replace("SystemTime=", "Other="),
        FIRST.replace("<Event>", '<Event><!DOCTYPE a [<!ENTITY b "c">]>'),
    ],
)
def test_what_is_no_whole_event_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("sysmon_linux", record)
