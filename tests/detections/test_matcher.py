"""The matcher: a batch of events in, keyed matches out, poison to the dead letters."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import orjson
import pytest

from detections import matches
from detections.control.live import of_files, rule_paths
from detections.control.state import State
from detections.matcher import Matcher
from detections.matches import FIELDS_BYTES, MatchRecord
from detections.sigma import Ruleset
from detections.sigma.ruleset import MOST_PROGRAMS
from detections.tenants import Tenants
from tests.detections.rules_under_test import event, load, rule_document
from tests.detections.test_alerter import Sent
from wardwatch.bus import Record
from wardwatch.errors import SettingsError
from wardwatch.event import Event, LogSource
from wardwatch.settings import MatcherSettings
from wardwatch.worker import Rejects

OWN = {"group_by": ["user.id", "device"], "window": "2h", "reason": {"en": "{user.id} on {host.name}: {gone}"}}


@pytest.fixture(scope="module")
def ruleset(tmp_path_factory: pytest.TempPathFactory) -> Ruleset:
    document = rule_document({"f|contains": "bad", "host.asset.known": True}, level="high", wardwatch=OWN)
    return load(tmp_path_factory.mktemp("rules"), document)


def enrich(event: Event) -> None:
    event.doc["host.asset.known"] = True


def record(found: Event, *, topic: str = "events.hospital_a", value: bytes | None = None, offset: int = 0) -> Record:
    return Record(topic, 0, offset, None, orjson.dumps(found.doc) if value is None else value, found.headers())


def handled(ruleset: Ruleset, *records: Record) -> tuple[list[MatchRecord], Rejects, Sent]:
    sent, rejects = Sent(), Rejects("matcher", [])
    Matcher(SimpleNamespace(state=State(ruleset=ruleset)), sent, enrich, Tenants(dict))(records, rejects)
    return [matches.decode(value or b"") for _, value, _ in sent.records], rejects, sent


def bad(**more: Any) -> Event:
    return event({"f": "so bad", "user.id": "st_1", "host.name": "h1", **more})


def test_an_enriched_event_that_meets_a_rule_is_one_match(ruleset: Ruleset) -> None:
    (match,), rejects, sent = handled(ruleset, record(bad()), record(event({"f": "good"})))
    assert len(rejects) == 0
    assert (match.tenant, match.event_id, match.timestamp) == ("hospital_a", "e1", "2026-03-01T02:11:09.000Z")
    assert match.group == {"user.id": "st_1", "device": ""}
    assert match.matched == {"f": ["so bad"], "host.asset.known": ["true"]}
    assert match.fields == {"user.id": "st_1", "host.name": "h1", "host.asset.known": True}
    assert match.sentence["en"] == "st_1 on h1: –"
    assert (match.rule.severity, match.rule.window_s) == ("high", 7200)
    topic, _, key = sent.records[0]
    assert (topic, key) == ("matches", match.key)


def test_the_tenant_is_the_topics_whatever_the_record_claims(ruleset: Ruleset) -> None:
    claimed = replace(bad(**{"organization.id": "hospital_a"}), tenant="hospital_a")
    (match,), _, _ = handled(ruleset, record(claimed, topic="events.hospital_b"))
    assert match.tenant == "hospital_b"
    assert match.key.startswith("hospital_b/")
    assert "hospital_b" in match.index


def test_one_group_has_one_key_and_another_group_another(ruleset: Ruleset) -> None:
    found, _, _ = handled(ruleset, record(bad()), record(bad(**{"event.id": "e2"})), record(bad(**{"user.id": "x"})))
    assert found[0].key == found[1].key != found[2].key


CASES: dict[str, dict[str, Any]] = {
    "field": {"f": "bad"},
    "enrichment": {"host.asset.ward": "icu-7"},
    "absent": {
        "selection": {"f": "bad"},
        "known": {"host.asset.ward|exists": True},
        "condition": "selection and not known",
    },
    "nested": {"g.deep": "x"},
    "keyword": {"words": ["mimikatz"], "condition": "words"},
    "keyword of enrichment": {"words": ["icu-7"], "condition": "not words"},
    "keyword overwritten": {"words": ["forged"], "condition": "not words"},
}
EVENTS: list[dict[str, Any]] = [
    {"f": "bad"},
    {"f": "bad", "host.ip": "10.0.0.7"},
    {"host.ip": ["10.0.0.7"], "message": "nothing"},
    {"message": "run MIMIKATZ now", "g": {"deep": "x"}},
    {"unread": {"deep": ["m\u0131mikatz", "mimi\u212aatz"]}},
    {"host.asset.ward": "forged", "host.ip": "10.0.0.7"},
    {"host.asset.ward": "forged"},
]


def ward(event: Event) -> None:
    if "10.0.0.7" in event.doc.get("host.ip", ()):
        event.doc["host.asset.ward"] = "icu-7"


@pytest.mark.parametrize("case", [*([name] for name in CASES), list(CASES)], ids=str)
def test_an_event_decoded_in_part_meets_the_rules_that_the_whole_event_meets(tmp_path: Path, case: list[str]) -> None:
    documents = [{**rule_document(CASES[name], title=name), "id": str(UUID(int=at))} for at, name in enumerate(case)]
    rules = load(tmp_path, *documents)
    assert not rules.rejected
    expected = []
    for doc in EVENTS:
        whole = event(doc)
        ward(whole)
        expected += [(found.rule.id, found.matched) for found in rules.match(whole)]
    sent, rejects = Sent(), Rejects("matcher", [])
    live = SimpleNamespace(state=State(ruleset=rules))
    Matcher(live, sent, ward, Tenants(dict))([record(event(doc)) for doc in EVENTS], rejects)
    found = [matches.decode(value or b"") for _, value, _ in sent.records]
    assert expected
    assert [(each.rule.id, each.matched) for each in found] == expected


def test_log_sources_that_records_make_up_share_one_program(ruleset: Ruleset) -> None:
    programs = {id(ruleset.program(LogSource(f"p{n}", f"c{n}", f"s{n}"))) for n in range(2 * MOST_PROGRAMS)}
    assert len(programs) == 1
    assert ruleset.program(LogSource("test", "made up", "made up")) is ruleset.program(LogSource("test"))
    assert ruleset.program(LogSource("test")) is not ruleset.program(LogSource("made up"))


@pytest.mark.parametrize(
    "poison",
    [
        b"",
        b"not json",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"f":"bad"}',
        b'{"event.id":"a","@timestamp":1,"f":"bad"}',
    ],
)
def test_poison_is_a_dead_letter_and_the_next_event_is_matched(ruleset: Ruleset, poison: bytes) -> None:
    found, rejects, _ = handled(ruleset, record(bad(), value=poison), record(bad(), offset=1))
    assert len(rejects) == 1
    assert len(found) == 1


def test_an_object_that_shows_no_text_of_a_rule_is_left_to_the_archiver(ruleset: Ruleset) -> None:
    _, rejects, sent = handled(ruleset, record(bad(), value=b'{"event.id":' + b'"e1","f":}'))
    assert (len(rejects), sent.records) == (0, [])


def test_a_match_whose_time_can_not_be_read_is_a_dead_letter(ruleset: Ruleset) -> None:
    found, rejects, _ = handled(ruleset, record(bad(**{"@timestamp": "yesterday"})))
    assert (len(found), len(rejects)) == (0, 1)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "1999-12-31T00:00:00Z", "9999-12-31T23:59:59-14:00"])
def test_a_time_that_no_clock_can_have_written_is_that_of_receipt(ruleset: Ruleset, time: str) -> None:
    found = replace(bad(**{"@timestamp": time}), received=datetime(2026, 3, 1, 2, 11, tzinfo=UTC))
    (match,), rejects, _ = handled(ruleset, record(found))
    assert len(rejects) == 0
    assert match.timestamp == "2026-03-01T02:11:00.000Z"


def test_a_match_stays_small_however_large_its_event(ruleset: Ruleset) -> None:
    many = {f"process.field{number}": "x" * 1000 for number in range(200)}
    found, _, sent = handled(ruleset, record(bad(f="bad" * 100_000, **many)))
    assert len(orjson.dumps(found[0].fields)) <= FIELDS_BYTES
    assert len(sent.records[0][1] or b"") < 12_000


def test_a_sentence_shows_control_characters_instead_of_obeying_them(ruleset: Ruleset) -> None:
    (match,), _, _ = handled(ruleset, record(bad(**{"user.id": "a\x1b[2J\u202eb"})))
    assert match.sentence["en"].startswith("a\\x1b[2J\\u202eb")


def test_placeholders_of_a_hostile_value_are_not_filled_again(ruleset: Ruleset) -> None:
    (match,), _, _ = handled(ruleset, record(bad(**{"user.id": "{host.name}{0.__class__}"})))
    assert match.sentence["en"] == "{host.name}{0.__class__} on h1: –"


def test_a_rule_folder_that_is_not_there_is_refused_at_start(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"matcher\.rules"):
        rule_paths(MatcherSettings(rules=(tmp_path / "missing",)))


def test_rejected_rules_are_logged_and_the_rest_is_in_force(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(tmp_path, rule_document({"f": 1}), "a: [")
    state = of_files(MatcherSettings(rules=(tmp_path,), shipped_rules=False))
    assert (len(state.ruleset.rules), len(state.rejected)) == (1, 1)
    assert "rule1.yml" in capsys.readouterr().out
