"""How the shift does: times, service levels and verdicts of alerts, each by the definition beside it.

Times are told beside what says whether speed was bought: the share of true positives and of alerts that were opened
again. Alerts of an exercise, those that a suppression hid and
those that only go on with another are no work of the shift: they are left out.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Any, Literal

from pydantic import BaseModel

from dashboards import reviews
from dashboards.cases.case import Case, RequestKind
from dashboards.present import dig
from dashboards.reviews import Reviews
from dashboards.spread import Spread, spread
from dashboards.trends import Day, daily, hours, raised, since_raised
from dashboards.workflow import workflow_of
from wardwatch.alert import AlertDocument, Severity, Status, Verdict, parse_alert_id, severity_of
from wardwatch.event import parse_time
from wardwatch.store import AlertQuery, Find, Scope, Store
from wardwatch.store.reading import visible

NEWEST = 10_000
"""So many newest alerts are read."""
DAYS = (7, 30, 90)
By = Literal["severity", "hospital", "rule"]
_PAGE = 1000
_FALSE = (Verdict.BENIGN_POSITIVE, Verdict.FALSE_POSITIVE_LOGIC, Verdict.FALSE_POSITIVE_DATA)


class Figures(BaseModel):
    """One group of alerts; ``in_cases`` are part of a case.

    ``detect``: raised − first event. ``lag``: alert last written by detection − its newest event. ``acknowledge``:
    first acknowledged − raised. ``decide``: closed or escalated − raised. ``close``: closed − raised.
    ``acknowledged_in_time``, ``decided_in_time``: share, 0 to 1, of those whose deadline (business time, without
    pauses) was met or has passed. ``precision``: true positives ÷ (true + benign + false positives).
    """

    alerts: int
    open: int
    in_cases: int
    verdicts: dict[Verdict, int]
    precision: float | None
    detect: Spread
    lag: Spread
    acknowledge: Spread
    decide: Spread
    close: Spread
    acknowledged_in_time: float | None
    decided_in_time: float | None


class CaseTimes(BaseModel):
    """Times of cases. ``dwell``: first acknowledged − earliest event. ``contain``: contained − first alert raised.

    A case is contained when the last step that was asked for to contain it is done.
    """

    dwell: Spread
    contain: Spread


class Report(BaseModel):
    """The figures of a time: of all, and by severity, hospital and rule; of cases, days and the hours of the week.

    ``reopened``: openings anew ÷ alerts closed. ``reviews``: second looks in that time, at any alerts.
    ``complete`` is false when more alerts were raised than are read: the figures are of the newest then. ``daily`` has
    every day (YYYY-MM-DD), ``hours`` the alerts raised in each hour of each weekday, Monday first; both in the
    hospital's time, for all in that of most.
    """

    days: int
    complete: bool
    reopened: float | None
    whole: Figures
    groups: dict[By, dict[str, Figures]]
    cases: CaseTimes
    reviews: Reviews
    daily: dict[str, Day]
    hours: list[list[int]]


def report(store: Store, scope: Scope, tenant: str, days: int, now: datetime, zone: tzinfo) -> Report:
    """Return the figures of the alerts raised in the last days, in one hospital or, for "", all in scope."""
    start, tenants = now - timedelta(days=days), frozenset(filter(None, [tenant]))
    docs, complete = alerts_of(store, scope, AlertQuery(tenants=tenants, created_from=start))
    work = [doc for doc in docs if is_work(workflow_of(doc))]
    closed = sum(1 for doc in work if workflow_of(doc).get("closed_at"))
    opened = store.documents("audit").find(
        Find({"action": "reopen"}, tenants=visible(scope, tenants), start=start, limit=1)
    )
    return Report(
        days=days,
        complete=complete,
        reopened=opened.total / closed if closed else None,
        whole=figures(work, now),
        groups={
            "severity": by_severity(work, now),
            "hospital": grouped(work, now, lambda doc: parse_alert_id(doc["event"]["id"])[0]),
            "rule": grouped(work, now, lambda doc: str(dig(doc, "rule.id"))),
        },
        reviews=reviews.counted(store, scope, tenant, start),
        # a case that holds an alert raised since was changed since
        cases=case_times(work, cases_of(store, Find(tenants=visible(scope, tenants), start=start))),
        daily=daily(work, start, now, zone),
        hours=hours(work, zone),
    )


def figures(docs: list[AlertDocument], now: datetime) -> Figures:
    """Return the figures of some alerts at a moment."""
    flows = [workflow_of(doc) for doc in docs]
    verdicts = Counter(Verdict(flow["verdict"]) for flow in flows if flow.get("verdict"))
    judged = verdicts[Verdict.TRUE_POSITIVE] + sum(verdicts[each] for each in _FALSE)

    return Figures(
        alerts=len(docs),
        open=sum(1 for flow in flows if not flow.get("closed_at")),
        in_cases=sum(1 for flow in flows if flow.get("case_id")),
        verdicts=dict(verdicts),
        precision=verdicts[Verdict.TRUE_POSITIVE] / judged if judged else None,
        detect=spread(raised(doc) - _first(doc) for doc in docs),
        lag=spread(
            parse_time(str(end)) - parse_time(doc["@timestamp"]) for doc in docs if (end := dig(doc, "event.ingested"))
        ),
        acknowledge=since_raised(docs, "ack_at"),
        decide=since_raised(docs, "decided_at"),
        close=since_raised(docs, "closed_at"),
        acknowledged_in_time=_in_time(flows, "ack_at", "ack_due", now),
        decided_in_time=_in_time(flows, "decided_at", "decide_due", now),
    )


def by_severity(docs: list[AlertDocument], now: datetime) -> dict[str, Figures]:
    """Return the figures of alerts by severity, the worst first."""
    groups = grouped(docs, now, lambda doc: severity_of(doc).value)
    return {each: groups[each] for each in reversed(Severity) if each in groups}


def case_times(docs: list[AlertDocument], cases: Mapping[str, Case]) -> CaseTimes:
    """Return the times of the cases that the alerts belong to."""
    groups: dict[str, list[AlertDocument]] = defaultdict(list)
    for doc in docs:
        if name := workflow_of(doc).get("case_id"):
            groups[name].append(doc)
    seen, contained = [], []
    for name, group in groups.items():
        taken = [_at(flow, "ack_at") for flow in map(workflow_of, group) if flow.get("ack_at")]
        if taken:
            seen.append(min(taken) - min(map(_first, group)))
        if name in cases and (done := _contained(cases[name])):
            contained.append(done - min(map(raised, group)))
    return CaseTimes(dwell=spread(seen), contain=spread(contained))


def _contained(case: Case) -> datetime | None:
    """Return when the last step to contain was done, None while one is awaited or none was done."""
    steps = [one for one in case.requests if one.kind is RequestKind.CONTAINMENT and one.withdrawn_at is None]
    done = [parse_time(one.answered_at) for one in steps if one.answered_at and one.agreed]
    return max(done) if done and not any(one.waits for one in steps) else None


def cases_of(store: Store, find: Find) -> dict[str, Case]:
    """Return the cases that a filter finds, by id; at most the newest NEWEST."""
    found: dict[str, Case] = {}
    after: str | None = None
    while len(found) < NEWEST:
        page = store.documents("cases").find(replace(find, after=after, limit=_PAGE))
        found |= {str(item.doc["id"]): Case.model_validate(item.doc) for item in page.items}
        after = page.after
        if after is None:
            break
    return found


def _first(doc: AlertDocument) -> datetime:
    return parse_time(str(dig(doc, "wardwatch.alert.first_seen") or doc["@timestamp"]))


def _in_time(flows: Iterable[dict[str, Any]], done: str, due: str, now: datetime) -> float | None:
    met = []
    for flow in flows:
        if not flow.get(due) or (flow.get("paused_at") and not flow.get(done)):
            continue
        end, deadline = _at(flow, done) if flow.get(done) else None, _at(flow, due)
        if end is not None or now > deadline:
            met.append(end is not None and end <= deadline)
    return sum(met) / len(met) if met else None


def is_work(flow: dict[str, Any]) -> bool:
    """Tell whether an alert with this workflow counts in the figures."""
    hidden = flow["status"] == Status.SUPPRESSED.value or flow.get("continues")
    return not hidden and flow.get("verdict") != Verdict.EXERCISE.value


def grouped(docs: list[AlertDocument], now: datetime, name: Callable[[AlertDocument], str]) -> dict[str, Figures]:
    """Return the figures of alerts by a name, the largest group first."""
    groups: dict[str, list[AlertDocument]] = defaultdict(list)
    for doc in docs:
        groups[name(doc)].append(doc)
    return {key: figures(groups[key], now) for key in sorted(groups, key=lambda key: (-len(groups[key]), key))}


def alerts_of(store: Store, scope: Scope, query: AlertQuery) -> tuple[list[AlertDocument], bool]:
    """Return the newest alerts of a filter, and whether they are all."""
    docs: list[AlertDocument] = []
    after: str | None = None
    while len(docs) < NEWEST:
        page = store.alerts.search(scope, query, after=after, limit=_PAGE)
        docs += [item.doc for item in page.items]
        after = page.after
        if after is None:
            return docs, True
    return docs, False


def _at(flow: dict[str, Any], name: str) -> datetime:
    return parse_time(str(flow[name]))
