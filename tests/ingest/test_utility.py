"""The shipped rules give the same alerts on scrubbed events as on raw ones, with tokens in the place of values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from detections import matches
from detections.scanning import Found, Hospital, Raised, Scan
from detections.sigma import PACK, Ruleset
from detections.sigma.view import View
from enrich.context import Context
from enrich.lookups.inventory import read_rows
from ingest.parsers import PARSERS, Record, Site, parser
from ingest.scrub import Action, scrub
from ingest.vault import HmacTokens
from wardwatch.alert import Severity
from wardwatch.demo.day import day, moment
from wardwatch.demo.hospital import HOSPITALS
from wardwatch.errors import RecordError
from wardwatch.event import Document, Event, LogSource, event_id
from wardwatch.sources import ReadRecord

MIDNIGHT = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
TOKENS = HmacTokens(bytes(32))
Rows = dict[str, Document]
KINDS = [action.value for action in (Action.PATIENT, Action.STAFF, Action.ENCOUNTER, Action.STUDY)]


@dataclass(frozen=True)
class Alert:
    """An alert as both sides must give it: the rule, the record, and the group it is folded by."""

    rule: str
    record: int
    group: tuple[tuple[str, str], ...]


def records() -> Iterator[tuple[str, bytes, datetime]]:
    """Yield the records of the simulated day of every hospital and of every source's sample."""
    for hospital in HOSPITALS:
        for step in day(hospital):
            at = moment(hospital, MIDNIGHT, step.at_s)
            yield step.source.removesuffix("_udp"), step.make(at), at
    for source in PARSERS:
        for data in parser(source).split(parser(source).sample()):
            yield source, data, MIDNIGHT
    reveal = next(iter(parser("reveal").split(parser("reveal").sample())))
    for number in range(25):
        yield "reveal", reveal.replace(b"INC-2026-031", b"INC-%d" % number), MIDNIGHT


def events(*, scrubbed: bool) -> Iterator[ReadRecord]:
    """Yield the events of every record, scrubbed or as they were parsed."""
    for number, (source, data, received) in enumerate(records()):
        found = parser(source)
        try:
            parsed = found.parse(Record(data, peer="10.3.1.5", received=received), Site())
        except RecordError:
            continue
        docs = [scrub(one.doc, found.policy, TOKENS) if scrubbed else dict(one.doc) for one in parsed]
        for index, doc in enumerate(docs):
            doc["event.id"] = event_id(source, str(number), str(index))
        yield ReadRecord(
            number,
            None,
            [Event(doc, "renai", source, one.logsource) for doc, one in zip(docs, parsed, strict=True)],
        )


def alerts(assets: Rows, *, scrubbed: bool) -> list[Alert]:
    scan = Scan(Ruleset.load([PACK]), Context(Hospital("Asia/Shanghai", assets)), ZONE, frozenset(Severity))
    found = [one for record in events(scrubbed=scrubbed) for one in scan.record("day", record)]
    return [*map(of_match, (one for one in found if isinstance(one, Found))), *map(of_correlation, scan.correlated())]


def of_match(found: Found) -> Alert:
    group = matches.of_event(found.match, found.event, View(found.event.doc, ZONE)).group
    return Alert(found.match.rule.id, found.record, tuple(sorted(group.items())))


def of_correlation(raised: Raised) -> Alert:
    names = raised.firing.correlation.group_by
    return Alert(raised.firing.correlation.card.id, raised.record, tuple(zip(names, raised.firing.group, strict=True)))


def mapped(alert: Alert, scrubbed: Alert) -> Alert:
    """Return the raw alert with the values of its group in the place of which the scrubbed one has their tokens."""
    group = tuple(
        (name, token if token in {TOKENS.token(kind, value) for kind in KINDS} else value)
        for (name, value), (_, token) in zip(alert.group, scrubbed.group, strict=True)
    )
    return Alert(alert.rule, alert.record, group)


def test_the_rules_give_the_same_alerts_on_scrubbed_as_on_raw_events(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (attacked,) = (hospital for hospital in HOSPITALS if hospital.tenant == "zhongxin")
    inventory = tmp_path / "assets.csv"
    inventory.write_text(attacked.inventory(), "utf-8")
    raw, scrubbed = (alerts(read_rows(inventory), scrubbed=scrubbed) for scrubbed in (False, True))
    with capsys.disabled():
        rules = len({alert.rule for alert in raw})
        print(f"\nutility: {len(raw)} alerts of {rules} rules on raw events, {len(scrubbed)} on scrubbed ones")
    assert Counter((one.rule, one.record) for one in raw) == Counter((one.rule, one.record) for one in scrubbed)
    assert [mapped(*pair) for pair in zip(raw, scrubbed, strict=True)] == scrubbed
    assert rules >= 9


def pack_events() -> Iterator[tuple[str, str, LogSource, Document]]:
    """Yield source, rule, log source and document of every event in the tests beside the rules."""
    for file in sorted(PACK.rglob("*.test.yml")):
        if file.parent.name in PARSERS:
            tests = yaml.safe_load(file.read_text("utf-8"))
            for doc in [*tests["match"], *tests["no_match"]]:
                yield file.parent.name, file.name.partition(".")[0], LogSource(**tests["logsource"]), doc


def test_every_event_in_the_tests_of_the_rules_meets_the_same_rules_after_the_scrub() -> None:
    rules = Ruleset.load([PACK])
    count = 0
    for source, rule, logsource, doc in pack_events():
        before = {"event.id": "x", "@timestamp": "2026-03-10T02:00:00.000Z"} | doc
        after = scrub(deepcopy(before), parser(source).policy, TOKENS)
        met = [
            [match.rule.id for match in rules.match(Event(one, "t", source, logsource), ZONE)]
            for one in (before, after)
        ]
        assert met[0] == met[1], rule
        count += len(met[0])
    assert count > 20
