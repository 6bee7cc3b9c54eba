"""One test per row of the semantics table that concerns correlations, from YAML to the firings; and what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from detections.correlation import records
from detections.correlation.correlator import DROPPED, Correlator, chained
from detections.correlation.group import Firing
from detections.correlation.records import Fed
from detections.correlation.rule import Correlation
from detections.sigma import Ruleset, RuleText
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from tests.detections.rules_under_test import TEST
from wardwatch.bus import Record
from wardwatch.event import Event, rfc3339

START = datetime(2026, 3, 1, 2, 0, tzinfo=UTC)
LATENESS_S = 20
IDS = {
    name: f"00000000-0000-4000-8000-0000000000{place:02}"
    for place, name in enumerate(["a", "b", "c", "top", "over", "x"])
}


def plain(name: str) -> dict[str, Any]:
    """Return a rule that events with ``met: <name>`` meet."""
    detection = {"selection": {"met": name}, "condition": "selection"}
    return {"title": name, "name": name, "id": IDS[name], "logsource": {"product": "test"}, "detection": detection}


def above(name: str, **own: Any) -> dict[str, Any]:
    """Return a correlation: at least two matches of rule a from one host in ten seconds, unless told otherwise."""
    body = {"type": "event_count", "rules": ["a"], "group-by": ["host"], "timespan": "10s", "condition": {"gte": 2}}
    body = {key: value for key, value in {**body, **own}.items() if value is not None}
    return {"title": name, "name": name, "id": IDS[name], "correlation": body}


def loaded(*documents: Mapping[str, Any]) -> Ruleset:
    return Ruleset.of(
        [RuleText(Path("rules.yml"), yaml.safe_dump_all([*map(plain, "abc"), *documents], sort_keys=False))]
    )


class Bench:
    """Events through the rules and the correlator, one record of the topic after the other."""

    def __init__(self, *documents: Mapping[str, Any]) -> None:
        self.ruleset = loaded(*documents)
        assert self.ruleset.rejected == []
        self.correlator = Correlator(lambda *_: (), LATENESS_S * 1000, 100, lambda: 10_000)
        self.fired: list[Firing] = []
        self._offset = 0

    def happens(
        self,
        second: float,
        met: str = "a",
        name: str = "",
        at: float | None = None,
        received: float = 86_400,
        **fields: Any,
    ) -> None:
        """An event of that second; the bus takes what it brings at second ``at`` (at once when not told)."""
        moment = START + timedelta(seconds=second)
        doc = {"@timestamp": rfc3339(moment), "event.id": name or f"{second:07.3f}", "met": list(met), "host": "h"}
        event = Event({**doc, **fields}, "hospital_a", "test", TEST, received=START + timedelta(seconds=received))
        ids = [match.rule.id for match in self.ruleset.match(event)]
        intakes = self.ruleset.correlated.of(ids, event.tenant)
        for fed, correlation in records.of_event(intakes, event, View(event.doc, ZONE)):
            self._send(fed, correlation, second if at is None else at)

    def _send(self, fed: Fed, correlation: Correlation, second: float) -> None:
        taken_ms = round((START + timedelta(seconds=second)).timestamp() * 1000)
        value, key = msgspec.json.encode(fed), fed.key(correlation)
        self.correlator.take(Record("matches", 0, self._offset, key, value, fed.headers(), timestamp_ms=taken_ms))
        self._offset += 1

    def firings(self, until: float = 65) -> list[Firing]:
        """Return what has fired when that second is over, through every level of correlations."""
        self.correlator.tick(round((START + timedelta(seconds=until)).timestamp() * 1000))
        fired, self.correlator.fired = [firing for _, firing in self.correlator.fired], []
        self.fired += fired
        fed = [(until, *each) for firing in fired for each in chained(firing)]
        for second, brought, correlation in fed:
            self._send(brought, correlation, second)
        return self.firings(until + LATENESS_S + 1) if fed else self.fired

    def seconds(self) -> list[float]:
        """Return at which seconds it has fired."""
        return [firing.last.at_ms / 1000 - START.timestamp() for firing in self.firings()]


def at(seconds: Sequence[float], **own: Any) -> list[float]:
    bench = Bench(above("top", **own))
    for second in seconds:
        bench.happens(second)
    return bench.seconds()


def test_the_window_slides_and_takes_in_its_edge() -> None:
    assert at([9, 19]) == [19]
    assert at([9, 19.001]) == []
    assert at([8, 12]) == [12]  # on both sides of an aligned timespan


def test_an_event_without_the_group_field_does_not_take_part() -> None:
    bench = Bench(above("top"))
    bench.happens(1, host=None)
    bench.happens(2, host=None)
    assert bench.seconds() == []


def test_groups_are_counted_by_themselves() -> None:
    bench = Bench(above("top"))
    for second, host in ((1, "h"), (2, "i"), (3, "i")):
        bench.happens(second, host=host)
    assert [(firing.group, firing.last.at_ms % 60_000) for firing in bench.firings()] == [(("i",), 3000)]


def test_an_alias_is_another_field_in_each_rule() -> None:
    aliases = {"address": {"a": "source_ip", "b": "destination_ip"}}
    bench = Bench(
        above("top", type="temporal", rules=["a", "b"], aliases=aliases, condition=None, **{"group-by": ["address"]})
    )
    bench.happens(1, "a", source_ip="10.0.0.1")
    bench.happens(2, "b", source_ip="10.0.0.1", destination_ip="10.0.0.9")
    bench.happens(3, "b", destination_ip="10.0.0.1")
    assert [firing.group for firing in bench.firings()] == [("10.0.0.1",)]


def test_a_correlation_of_correlations_counts_their_alerts() -> None:
    over = above("over", type="temporal", rules=["top", "b"], timespan="60s", condition=None)
    bench = Bench(above("top"), over)
    bench.happens(0, "b")
    bench.happens(11)
    bench.happens(12)
    bench.happens(13)
    names = [firing.correlation.card.name for firing in bench.firings()]
    assert names == ["top", "top", "over"]


@pytest.mark.parametrize(("generate", "silent"), [(False, {IDS["a"]}), (True, set()), (None, {IDS["a"]})])
def test_generate_keeps_the_alerts_of_the_rules_referred_to(generate: bool | None, silent: set[str]) -> None:
    assert loaded(above("top", generate=generate)).correlated.silent == silent


def test_firing_again_goes_on_in_the_alert_that_is_open() -> None:
    bench = Bench(above("top"))
    for second in (8, 9, 11, 12):
        bench.happens(second)
    fired = bench.firings()
    assert [firing.first for firing in fired] == [True, False, False]
    assert len({firing.opened_ms for firing in fired}) == 1
    assert [len(firing.evidence) for firing in fired] == [2, 1, 1]


def test_firing_more_than_a_timespan_later_is_another_alert() -> None:
    bench = Bench(above("top"))
    for second in (1, 2, 31, 32):
        bench.happens(second)
    assert [firing.first for firing in bench.firings()] == [True, True]


@pytest.mark.parametrize(
    ("kind", "condition", "values", "expected"),
    [
        ("value_count", {"gte": 2}, ["x", "x", "y"], [3]),
        ("value_sum", {"gt": 10}, [4, 6, 1], [3]),
        ("value_sum", {"eq": 1}, [0.3, 0.3, 0.4], [3]),
        ("value_avg", {"gte": 5}, [1, 3, 11], [3]),
        ("value_avg", {"lt": 2}, [1, 3, 11], [1]),
        ("value_median", {"gte": 3}, [1, 3, 11], [3]),
        ("value_percentile", {"gte": 11, "percentile": 100}, [1, 3, 11], [3]),
        ("value_percentile", {"lte": 1, "percentile": 0}, [1, 3, 11], [1, 2, 3]),
        ("value_sum", {"neq": 0}, ["none", "", None], []),
    ],
)
def test_a_measure_keeps_its_threshold(
    kind: str, condition: dict[str, Any], values: list[Any], expected: list[int]
) -> None:
    bench = Bench(above("top", type=kind, condition={**condition, "field": "v"}))
    for second, value in enumerate(values, 1):
        bench.happens(second, v=value)
    assert bench.seconds() == expected


@pytest.mark.parametrize(
    ("own", "events", "expected"),
    [
        ({"type": "temporal", "rules": ["a", "b"], "condition": None}, "ab", [2]),
        ({"type": "temporal", "rules": ["a", "b"], "condition": None}, "ba", [2]),
        ({"type": "temporal_ordered", "rules": ["a", "b"], "condition": None}, "ab", [2]),
        ({"type": "temporal_ordered", "rules": ["a", "b"], "condition": None}, "ba", []),
        ({"type": "temporal", "rules": None, "condition": "a and (b or c)"}, "bca", [3]),
        ({"type": "temporal", "rules": None, "condition": "a and not b"}, "bac", []),
        ({"type": "temporal", "rules": None, "condition": "a and not b"}, "ca", [2]),
        ({"type": "temporal_ordered", "rules": None, "condition": "a and (b or c)"}, "ac", [2]),
        ({"type": "temporal_ordered", "rules": None, "condition": "a and (b or c)"}, "bca", []),
    ],
)
def test_all_rules_of_a_temporal_condition_have_matched(own: dict[str, Any], events: str, expected: list[int]) -> None:
    bench = Bench(above("top", **own))
    for second, met in enumerate(events, 1):
        bench.happens(second, met)
    assert bench.seconds() == expected


def test_order_is_that_of_event_time_and_then_of_ids_whatever_arrives_first() -> None:
    ordered = above("top", type="temporal_ordered", rules=["a", "b"], condition=None)
    late, tied, reverse = Bench(ordered), Bench(ordered), Bench(ordered)
    late.happens(2, "b", at=2)
    late.happens(1, "a", at=5)
    tied.happens(1, "b", "id2")
    tied.happens(1, "a", "id1")
    reverse.happens(1, "a", "id2")
    reverse.happens(1, "b", "id1")
    assert [bench.seconds() for bench in (late, tied, reverse)] == [[2], [1], []]


def test_an_event_delivered_again_counts_once() -> None:
    bench = Bench(above("top"))
    for at_second in (1, 2, 30, 31):
        bench.happens(1, name="same", at=at_second)
    assert bench.seconds() == []


def test_an_event_delivered_again_after_its_window_counts_no_second_time() -> None:
    bench = Bench(above("top"))
    for second in (1, 2, 30):
        bench.happens(second)
    bench.happens(2, at=60)
    bench.happens(1, at=61)
    assert bench.seconds() == [2]


def test_an_event_of_an_earlier_moment_that_comes_within_the_lateness_is_counted_in_its_place() -> None:
    bench = Bench(above("top"))
    bench.happens(5)
    bench.happens(4, at=5 + LATENESS_S - 1)
    assert bench.seconds() == [5]


@pytest.mark.parametrize("ahead_s", [60, 3600, 86_400, 10 * 86_400])
def test_an_event_from_the_future_counts_at_its_receipt_and_makes_no_other_late(ahead_s: float) -> None:
    bench = Bench(above("top", condition={"gte": 3}))
    before = DROPPED.labels("late")._value.get()
    bench.happens(1 + ahead_s, name="forged", at=1, received=1)
    for second in (30, 31, 32):
        bench.happens(second, received=second)
    assert bench.seconds() == [32]
    assert DROPPED.labels("late")._value.get() == before
    together = Bench(above("top"))
    together.happens(1 + ahead_s, name="forged", at=1, received=1)
    together.happens(2, received=2)
    assert together.seconds() == [2]


def test_a_late_event_is_reported_and_not_counted() -> None:
    bench = Bench(above("top"))
    before = DROPPED.labels("late")._value.get()
    bench.happens(5)
    bench.happens(40)
    bench.happens(4, at=41)
    assert bench.seconds() == []
    assert DROPPED.labels("late")._value.get() == before + 1


@pytest.mark.parametrize(
    ("own", "line_has", "reason"),
    [
        ({"rules": ["nobody"]}, "nobody", "refers to the rule 'nobody', which is not loaded"),
        ({"rules": ["top"]}, "", "circle"),
        ({"timespan": None}, "", "without timespan"),
        ({"timespan": "4d"}, "4d", "longer than 3 days"),
        ({"timespan": "soon"}, "", "'soon' is invalid"),
        ({"type": "value_percentile", "condition": {"gte": 2, "field": "v"}}, "", "percentile"),
        ({"type": "value_percentile", "condition": {"gte": 2, "field": "v", "percentile": 101}}, "", "percentile"),
        ({"type": "value_sum"}, "", "field"),
        ({"condition": {"gte": 10_001}}, "", "never reached"),
        ({"condition": {"gt": 10_000}}, "", "never reached"),
        ({"rules": ["a", "a"]}, "", "twice"),
        ({"type": "temporal_ordered", "rules": ["a", "b", "c"]}, "", "all its rules"),
        ({"rules": []}, "", "1 to 50 rules"),
        ({"type": "many"}, "", "no valid Sigma correlation type"),
    ],
)
def test_a_correlation_that_can_not_be_is_refused_alone(own: dict[str, Any], line_has: str, reason: str) -> None:
    ruleset = loaded(above("top", **own))
    (refused,) = ruleset.rejected
    assert refused.file == Path("rules.yml")
    assert reason in refused.reason
    text = yaml.safe_dump_all([*map(plain, "abc"), above("top", **own)], sort_keys=False).splitlines()
    assert refused.line >= text.index("title: top")
    assert line_has in text[refused.line - 1]
    assert [rule.title for rule in ruleset.rules] == ["a", "b", "c"]


def test_what_refers_to_a_refused_rule_is_refused_and_the_others_stay() -> None:
    broken = {**plain("c"), "detection": {"selection": {"f|re": "("}, "condition": "selection"}}
    texts = [plain("a"), broken, above("top", rules=["c"]), above("over", rules=["a"])]
    ruleset = Ruleset.of([RuleText(Path("rules.yml"), yaml.safe_dump_all(texts, sort_keys=False))])
    assert [each.reason for each in ruleset.rejected if "'c'" in each.reason]
    assert len(ruleset.rejected) == 2
    assert [each.card.name for each in ruleset.correlated.correlations] == ["over"]


def test_correlations_in_a_circle_are_refused_together() -> None:
    ruleset = loaded(above("top", rules=["over"]), above("over", rules=["top"]))
    assert len(ruleset.rejected) == 2
    assert ruleset.correlated.correlations == []


@pytest.mark.parametrize(
    "own",
    [
        {"group-by": ["user"]},
        {"type": "value_sum", "condition": {"gte": 2, "field": "user"}},
        {"group-by": ["place"], "aliases": {"place": {"top": "user"}}},
    ],
)
def test_a_correlation_has_of_another_only_what_that_is_grouped_by(own: dict[str, Any]) -> None:
    ruleset = loaded(above("top"), above("over", rules=["top"], **own))
    assert [each.reason for each in ruleset.rejected] == ["'top' is not grouped by 'user'"]
    assert [each.card.name for each in ruleset.correlated.correlations] == ["top"]


def test_each_correlation_over_a_refused_one_is_refused_once() -> None:
    chain = [above("over", rules=["top"]), above("top", rules=["c"]), {**above("x"), "name": "c"}]
    chain[2]["correlation"]["rules"] = ["nobody"]
    documents = [plain("a"), *chain]
    ruleset = Ruleset.of([RuleText(Path("rules.yml"), yaml.safe_dump_all(documents, sort_keys=False))])
    assert len(ruleset.rejected) == 3


def test_a_correlation_with_the_id_of_another_is_refused() -> None:
    ruleset = loaded(above("top"), {**above("top", rules=["b"]), "name": "again"})
    assert [each.reason for each in ruleset.rejected] == [f"'{IDS['top']}' is the id or name of another rule"]
    assert len(ruleset.correlated.correlations) == 1


def test_the_version_of_a_correlation_follows_its_own_text_and_every_rule_below_it() -> None:
    def versions(level: str = "low", **own: Any) -> tuple[str, str]:
        documents = [plain("a") | {"level": level}, above("top", **own), above("over", rules=["top"])]
        ruleset = Ruleset.of([RuleText(Path("rules.yml"), yaml.safe_dump_all(documents, sort_keys=False))])
        assert ruleset.rejected == []
        found = {each.correlation.card.slug: each.version for each in ruleset.correlations}
        return found["top"], found["over"]

    first, again, rule, own = versions(), versions(), versions("high"), versions(timespan="11s")
    assert first == again
    assert all(before != after for changed in (rule, own) for before, after in zip(first, changed, strict=True))
