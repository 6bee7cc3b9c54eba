from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from dashboards import workflow
from dashboards.cases.case import Case, Request, RequestKind, Side
from dashboards.figures import case_times, figures, report
from dashboards.spread import spread
from dashboards.trends import daily, hours
from dashboards.workflow import read, state_of
from tests.dashboards.site import STORIES, VIP, document, sign_in, write
from wardwatch.alert import AlertDocument, Severity, Verdict
from wardwatch.event import rfc3339
from wardwatch.store import Scope

if TYPE_CHECKING:
    from collections.abc import Sequence

    import httpx

    from dashboards.console import Console
    from wardwatch.store import Store

RAISED = datetime(2026, 11, 20, 8, tzinfo=UTC)
NOW = RAISED + timedelta(days=1)


def after(minutes: float) -> str:
    return rfc3339(RAISED + timedelta(minutes=minutes))


def alert(**flow: Any) -> AlertDocument:
    """Return an alert raised at RAISED, ten minutes after its first event."""
    doc = document(VIP)
    doc["event"]["created"] = rfc3339(RAISED)
    own = doc["wardwatch"]["alert"]
    own |= {"first_seen": after(-10), "status": "new", "ack_due": after(15), "decide_due": after(60), **flow}
    return doc


def closed(verdict: str, ack: float, decided: float) -> AlertDocument:
    times = {"ack_at": after(ack), "decided_at": after(decided), "closed_at": after(decided)}
    return alert(status="closed", verdict=verdict, **times)


def test_times_run_from_the_moment_that_the_definition_names() -> None:
    found = figures([closed("true_positive", 4, 30)], NOW)
    assert [found.detect.median_s, found.acknowledge.median_s, found.decide.median_s, found.close.median_s] == [
        600,
        240,
        1800,
        1800,
    ]
    written = alert()
    written["@timestamp"], written["event"]["ingested"] = after(3), after(3.5)
    assert figures([written, alert()], NOW).lag.model_dump() == {"alerts": 1, "median_s": 30, "p90_s": 30}
    case = figures([alert(status="escalated", ack_at=after(4), decided_at=after(20))], NOW)
    assert (case.decide.median_s, case.close.median_s, case.open) == (1200, None, 1)


@pytest.mark.parametrize(
    ("lengths", "middle", "p90"),
    [
        ([1], 1, 1),
        ([3, 1], 2, 2.8),
        ([5, 1, 9], 5, 8.2),
        (range(1, 101), 50.5, 90.1),
        ([7, 7, 7, 1000], 7, 702.1),
    ],
)
def test_a_spread_is_the_median_and_the_ninetieth_percentile(lengths: Sequence[int], middle: float, p90: float) -> None:
    """Hyndman and Fan's definition 7: the value at (n - 1) * 0.9, linear between its neighbours."""
    found = spread(timedelta(seconds=each) for each in lengths)
    assert (found.alerts, found.median_s) == (len(lengths), middle)
    assert found.p90_s == pytest.approx(p90)


def test_a_deadline_counts_when_it_was_met_or_has_passed() -> None:
    met, late = closed("duplicate", 4, 30), closed("duplicate", 20, 90)
    missed, paused = alert(), alert(paused_at=after(5))
    running = figures([alert()], RAISED + timedelta(minutes=5))
    assert (running.acknowledged_in_time, running.decided_in_time) == (None, None)
    found = figures([met, late, missed, paused], NOW)
    assert (found.acknowledged_in_time, found.decided_in_time) == (1 / 3, 1 / 3)


def test_precision_is_true_positives_of_all_that_were_judged() -> None:
    verdicts = ["true_positive", "benign_positive", "false_positive_logic", "false_positive_data", "undetermined"]
    found = figures([closed(each, 1, 2) for each in verdicts], NOW)
    assert found.precision == 1 / 4
    assert figures([closed("undetermined", 1, 2)], NOW).precision is None


def test_exercises_suppressed_alerts_and_later_windows_are_left_out(console: Console, store: Store) -> None:
    lin = console.people.get("lin")
    others = [replace(VIP, group=name) for name in ("exercise", "suppressed", "going on")]
    write(store, *others)
    state = state_of(read(store, lin, others[0].id).doc)
    workflow.close(store, lin, others[0].id, state, Verdict.EXERCISE)
    for story, changes in ((others[1], {"status": "suppressed"}), (others[2], {"continues": VIP.id})):
        found = store.alerts.get(Scope("test"), [story.id])[story.id]
        store.alerts.workflow(Scope("test"), story.id, changes, version=found.version)
    told = report(store, lin.scope, "", 7, datetime.now(UTC), UTC)
    assert told.whole.alerts == len(STORIES)
    assert set(told.groups["hospital"]) == {"zhongxin", "renai"}
    assert report(store, lin.scope, "renai", 7, datetime.now(UTC), UTC).whole.alerts == 2
    assert report(store, console.people.get("ren").scope, "", 7, datetime.now(UTC), UTC).whole.alerts == 2


def test_opening_again_stands_beside_the_closures(console: Console, store: Store) -> None:
    lin = console.people.get("lin")
    for story in STORIES[:2]:
        workflow.close(store, lin, story.id, state_of(read(store, lin, story.id).doc), Verdict.DUPLICATE)
    doc = read(store, lin, VIP.id).doc
    workflow.reopen(store, lin, VIP.id, state_of(doc), console.clock(doc))
    now = datetime.now(UTC)
    assert report(store, lin.scope, "", 7, now, UTC).reopened == 1.0
    assert report(store, lin.scope, "renai", 7, now, UTC).reopened is None


def case(name: str, *steps: tuple[float, float | None, bool]) -> Case:
    """Return a case with steps to contain it: asked and done so many minutes after RAISED, and whether it was done."""
    return Case(
        id=name,
        tenant="zhongxin",
        at=after(0),
        by="lin",
        change="",
        created_at=after(0),
        created_by="lin",
        title=name,
        severity=Severity.HIGH,
        requests=tuple(
            Request(
                id=str(place),
                at=after(asked),
                by="lin",
                to=Side.HOSPITAL,
                kind=RequestKind.CONTAINMENT,
                text="Cut it off.",
                answered_at=None if done is None else after(done),
                agreed=None if done is None else agreed,
            )
            for place, (asked, done, agreed) in enumerate(steps)
        ),
    )


def test_a_case_is_seen_from_its_earliest_event_to_the_first_who_took_one_of_its_alerts() -> None:
    early = alert(case_id="one", first_seen=after(-120), ack_at=after(30))
    found = case_times([early, alert(case_id="one", ack_at=after(10)), alert(case_id="two"), alert()], {})
    assert (found.dwell.alerts, found.dwell.median_s) == (1, 130 * 60)
    assert found.contain.alerts == 0


def test_a_case_is_contained_when_the_last_step_is_done() -> None:
    docs = [alert(case_id=name) for name in ("done", "waits", "refused", "none")]
    cases = {
        "done": case("done", (5, 20, True), (10, 45, True), (50, 60, False)),
        "waits": case("waits", (5, 20, True), (10, None, True)),
        "refused": case("refused", (5, 20, False)),
        "none": case("none"),
    }
    assert case_times(docs, cases).contain.model_dump() == {"alerts": 1, "median_s": 2700, "p90_s": 2700}


def test_days_and_hours_are_those_of_the_hospital() -> None:
    """RAISED is 08:00 UTC on a Friday: 16:00 in Shanghai, and 23:30 there 7.5 hours later is still that day."""
    late = alert(ack_at=after(8 * 60))
    late["event"]["created"] = after(7.5 * 60)
    next_day = alert()
    next_day["event"]["created"] = after(8 * 60 + 1)
    docs, zone = [alert(ack_at=after(5)), late, next_day], ZoneInfo("Asia/Shanghai")
    found = daily(docs, RAISED - timedelta(days=1), RAISED + timedelta(days=2), zone)
    counts = {day: sum(each.severities.values()) for day, each in found.items()}
    assert counts == {"2026-11-19": 0, "2026-11-20": 2, "2026-11-21": 1, "2026-11-22": 0}
    assert found["2026-11-20"].acknowledge.median_s == (5 + 30) * 60 / 2
    week = hours(docs, zone)
    assert {(day, hour): n for day, each in enumerate(week) for hour, n in enumerate(each) if n} == {
        (4, 16): 1,
        (4, 23): 1,
        (5, 0): 1,
    }


def test_the_page_says_the_figures_and_their_definitions(client: httpx.Client, console: Console) -> None:
    lin = console.people.get("lin")
    state = state_of(read(console.store, lin, VIP.id).doc)
    workflow.close(console.store, lin, VIP.id, state, Verdict.TRUE_POSITIVE, "seen")
    sign_in(client, "lin")
    page = client.get("/figures?days=7").text
    assert '<td class="number">100%</td></tr>' in page  # the precision
    assert "from raised until somebody first took it" in page
    told = client.get("/api/v1/figures?days=7").json()
    assert (told["whole"]["alerts"], told["whole"]["verdicts"]) == (4, {"true_positive": 1})
    assert client.get("/figures?days=91").status_code == 422
