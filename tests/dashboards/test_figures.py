from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from dashboards import workflow
from dashboards.figures import figures, report, spread
from dashboards.workflow import read, state_of
from tests.dashboards.site import STORIES, VIP, document, sign_in, write
from wardwatch.alert import AlertDocument, Verdict
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
    told = report(store, lin.scope, "", 7, datetime.now(UTC))
    assert told.whole.alerts == len(STORIES)
    assert set(told.groups["hospital"]) == {"zhongxin", "renai"}
    assert report(store, lin.scope, "renai", 7, datetime.now(UTC)).whole.alerts == 2
    assert report(store, console.people.get("ren").scope, "", 7, datetime.now(UTC)).whole.alerts == 2


def test_opening_again_stands_beside_the_closures(console: Console, store: Store) -> None:
    lin = console.people.get("lin")
    for story in STORIES[:2]:
        workflow.close(store, lin, story.id, state_of(read(store, lin, story.id).doc), Verdict.DUPLICATE)
    doc = read(store, lin, VIP.id).doc
    workflow.reopen(store, lin, VIP.id, state_of(doc), console.clock(doc))
    now = datetime.now(UTC)
    assert report(store, lin.scope, "", 7, now).reopened == 1.0
    assert report(store, lin.scope, "renai", 7, now).reopened is None


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
