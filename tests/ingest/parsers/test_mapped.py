"""Sources that a mapping file describes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ingest.parsers import Parser, Record, Site, parser
from ingest.parsers.mapped import parser_of
from ingest.scrub import scrub
from ingest.vault import HmacTokens
from wardwatch.errors import ParseError, SettingsError

RECEIVED = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)
HEAD = """
name = "lift"
title = "Lift controller"
reads = "its door log"
module = "lift"
dataset = "lift.door"
logsource = { product = "lift", category = "", service = "door" }
"""
EVENTS = """
[[events]]
category = ["host"]
type = ["info"]
action = "lift-door"
"""


def checked(record: str, expect: str = '{ "event.action" = "lift-door" }') -> str:
    return f"[[tests]]\nrecord = '''{record}'''\nexpect = {expect}\n"


def leaving(found: Parser, record: str) -> dict[str, Any]:
    """Return what leaves the hospital of a record."""
    (parsed,) = found.parse(Record(record.encode(), received=RECEIVED), Site())
    return scrub(parsed.doc, found.policy, HmacTokens(bytes(32)))


CSV = "2026/03/01 02:11:09;7;OPEN;N0310"
PAIRS = "<134>Mar  1 02:11:09 lift-1 floor=7 door=OPEN badge=N0310"
REGEX = "lift-1 at 1772302269: floor 7 OPEN by N0310"


@pytest.mark.parametrize(
    ("how", "record"),
    [
        ('format = "csv"\nseparator = ";"\ncolumns = ["t", "floor", "door", "badge"]\ntime = { from = "t" }', CSV),
        ('format = "key_value"', PAIRS),
        (
            "format = \"regex\"\npattern = 'at (?P<t>\\d+): floor (?P<floor>\\d+) (?P<door>\\w+) by (?P<badge>\\w+)'\n"
            'time = { from = "t", format = "epoch" }',
            REGEX,
        ),
        (
            'format = "json"\ntime = { from = "at.t", format = "%d.%m.%Y %H:%M:%S" }',
            '{"at": {"t": "01.03.2026 02:11:09"}, "floor": 7, "door": "OPEN", "badge": "N0310"}',
        ),
    ],
)
def test_every_format_gives_the_same_event(how: str, record: str) -> None:
    fields = (
        '[fields]\n"lift.rows" = "floor"\n"lift.door" = { from = "door", values = { OPEN = "open" } }\n'
        '"user.id" = { from = "badge", scrub = "staff" }\n'
    )
    doc = leaving(parser_of(f"{HEAD}{how}\n{fields}{EVENTS}{checked(record)}", "lift.toml"), record)
    assert doc["@timestamp"] == "2026-02-28T18:11:09.000Z"
    assert (doc["lift.rows"], doc["lift.door"], doc["user.id"][:3]) == (7, "open", "st_")
    assert (doc["event.module"], doc["event.dataset"]) == ("lift", "lift.door")


def test_what_the_mapping_does_not_name_stays_in_the_hospital() -> None:
    record = '{"door": "OPEN", "patient": "李雷", "more": {"id": "110101199003070038"}}'
    how = 'format = "json"\n[fields]\n"lift.door" = { from = "door", scrub = "keep" }\n'
    doc = leaving(parser_of(f"{HEAD}{how}{EVENTS}{checked(record)}", "lift.toml"), record)
    assert not {"李雷", "110101199003070038"} & {str(value) for value in doc.values()}


def test_a_value_without_translation_does_not_leave() -> None:
    how = 'format = "json"\n[fields]\n"lift.door" = { from = "door", values = { OPEN = "open" }, other = "unknown" }\n'
    found = parser_of(f"{HEAD}{how}{EVENTS}" + checked('{"door": "OPEN"}'), "lift.toml")
    assert leaving(found, '{"door": "李雷"}')["lift.door"] == "unknown"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"user.name" = "u"', "nothing says what the scrub does"),
        ('"user.nam" = { from = "u", scrub = "keep" }', "not a field of ECS"),
        ('"hospital.patient.id_token" = { from = "u", scrub = "keep" }', "not made a token"),
        ('"user.name" = { from = "u", scrub = "burn" }', "burn"),
        ('"user.name" = { form = "u", scrub = "keep" }', "form"),
    ],
)
def test_a_field_that_nobody_scrubs_or_knows_is_refused(line: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason):
        parser_of(f'{HEAD}format = "json"\n[fields]\n{line}\n{EVENTS}{checked("{}")}', "lift.toml")


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ('format = "csv"', "csv without columns"),
        ('format = "regex"', "regex without a pattern"),
        ('format = "regex"\npattern = "(?P<a"', "pattern"),
        ('format = "xml"', "xml"),
        ('format = "json', "line"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_with_its_file(how: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=reason) as refused:
        parser_of(f'{HEAD}{how}\n[fields]\n"source.ip" = "ip"\n{EVENTS}{checked("{}")}', "lift.toml")
    assert "lift.toml" in str(refused.value)
    assert refused.value.remedy


def test_a_mapping_whose_test_fails_is_refused_with_what_differs() -> None:
    wrong = checked('{"ip": "10.3.1.5"}', '{ "source.ip" = "10.3.1.6" }')
    with pytest.raises(SettingsError, match=r"test 1: source\.ip is '10\.3\.1\.5', not '10\.3\.1\.6'"):
        parser_of(f'{HEAD}format = "json"\n[fields]\n"source.ip" = "ip"\n{EVENTS}{wrong}', "lift.toml")


def test_a_mapping_without_tests_is_refused() -> None:
    with pytest.raises(SettingsError, match="no tests"):
        parser_of(f'{HEAD}format = "json"\ntests = []\n[fields]\n"source.ip" = "ip"\n{EVENTS}', "lift.toml")


def test_a_record_that_no_event_of_the_mapping_describes_is_refused() -> None:
    events = EVENTS.replace("[[events]]", '[[events]]\nwhen = { door = "OPEN" }')
    how = 'format = "json"\n[fields]\n"source.ip" = "ip"\n'
    found = parser_of(f"{HEAD}{how}{events}" + checked('{"door": "OPEN"}'), "lift.toml")
    with pytest.raises(ParseError, match="none of the mapping's events"):
        leaving(found, '{"door": "SHUT"}')


def test_a_hospitals_own_file_is_a_source(tmp_path: Path) -> None:
    how = 'format = "json"\n[fields]\n"source.ip" = "ip"\n'
    (tmp_path / "lift.toml").write_text(f"{HEAD}{how}{EVENTS}" + checked('{"ip": "10.3.1.5"}'), "utf-8")
    found = parser(f"mapped:{tmp_path / 'lift.toml'}")
    assert (found.name, leaving(found, '{"ip": "10.3.1.5"}')["source.ip"]) == ("lift", "10.3.1.5")
    with pytest.raises(SettingsError, match="can't be read"):
        parser(f"mapped:{tmp_path / 'none.toml'}")
