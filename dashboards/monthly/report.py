"""The monthly report of a hospital: what the store says of the alerts raised in a month and of its cases.

A month is one of the hospital's calendar. Definitions are those of ``dashboards.figures``; what happens to an alert
after the month's end counts for the month in which it was raised, so a report can change until its alerts are closed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from pydantic import BaseModel

from dashboards.cases.case import Case, CaseStatus, Side
from dashboards.figures import Figures, alerts_of, by_severity, cases_of, figures, grouped, is_work
from dashboards.hospitals import Hospital
from dashboards.present import dig
from dashboards.queue import SILENT_RULE
from dashboards.workflow import workflow_of
from wardwatch.alert import AlertDocument, Severity, Status, Verdict
from wardwatch.errors import NotFound
from wardwatch.event import Document, parse_time, rfc3339
from wardwatch.store import AlertQuery, Find, Scope, Store

MONTH: Final = r"^20[0-9]{2}-(0[1-9]|1[0-2])$"
RULES: Final = 10
_SUPPRESSIONS: Final = 200


class RuleMonth(BaseModel):
    """One rule; ``title`` is that of its newest alert in English and Chinese."""

    rule: str
    title: dict[str, str]
    figures: Figures


class CaseMonth(BaseModel):
    """One case that was open in the month, as it is now."""

    id: str
    title: str
    severity: Severity
    status: CaseStatus
    verdict: Verdict | None
    opened_at: str
    closed_at: str | None
    lessons: str


class Awaited(BaseModel):
    """A request to the hospital that waits for its answer."""

    case: str
    text: str
    asked_at: str
    due_at: str | None


class Silence(BaseModel):
    """A time in which a source or a collector was not heard; ``until`` is null while it lasts."""

    source: str
    since: str
    until: str | None


class Suppressed(BaseModel):
    """A suppression made from an alert in the month."""

    at: str
    by: str
    reason: str


class MonthlyReport(BaseModel):
    """One hospital's month, ``start`` to ``end`` (RFC 3339; ``end`` is not part of it).

    ``before`` are the figures of the month before. ``complete`` is false when more alerts were raised in one of the two
    than are read. ``hidden`` counts the alerts that suppressions hid, which are in no other figure; ``rules`` has the
    RULES with most alerts.
    """

    tenant: str
    month: str
    zone: str
    start: str
    end: str
    made_at: str
    complete: bool
    whole: Figures
    before: Figures
    severities: dict[str, Figures]
    rules: list[RuleMonth]
    hidden: int
    suppressions: list[Suppressed]
    cases: list[CaseMonth]
    awaited: list[Awaited]
    silences: list[Silence]


def monthly(store: Store, scope: Scope, hospital: Hospital, month: str, now: datetime) -> MonthlyReport:
    """Return the report of a month (``MONTH``); raises NotFound for a hospital out of scope or a month to come."""
    tenant = hospital.tenant
    scope.check(tenant, f"hospital {tenant[:80]!r}")
    start, end = bounds(hospital, month)
    if start > now:
        raise NotFound(f"the month {month} has not begun", step="reports")
    docs, complete = _raised(store, scope, tenant, start, end)
    earlier, earlier_complete = _raised(store, scope, tenant, bounds(hospital, before(month))[0], start)
    work = [doc for doc in docs if is_work(workflow_of(doc))]
    cases = _cases(store, tenant, start, end)
    return MonthlyReport(
        tenant=tenant,
        month=month,
        zone=hospital.zone.key,
        start=rfc3339(start),
        end=rfc3339(end),
        made_at=rfc3339(now),
        complete=complete and earlier_complete,
        whole=figures(work, now),
        before=figures([doc for doc in earlier if is_work(workflow_of(doc))], now),
        severities=by_severity(work, now),
        rules=_rules(work, now),
        hidden=sum(1 for doc in docs if workflow_of(doc)["status"] == Status.SUPPRESSED.value),
        suppressions=_suppressions(store, tenant, start, end),
        cases=[_case(case) for case in cases],
        awaited=[wish for case in cases for wish in _awaited(case)],
        silences=_silences(docs),
    )


def bounds(hospital: Hospital, month: str) -> tuple[datetime, datetime]:
    """Return when a month begins and ends in the hospital's zone."""
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=hospital.zone)
    return start, (start + timedelta(days=32)).replace(day=1)


def before(month: str, back: int = 1) -> str:
    """Return the month so many months before."""
    year, number = map(int, month.split("-"))
    years, at = divmod(year * 12 + number - 1 - back, 12)
    return f"{years:04}-{at + 1:02}"


def _raised(
    store: Store, scope: Scope, tenant: str, start: datetime, end: datetime
) -> tuple[list[AlertDocument], bool]:
    return alerts_of(store, scope, AlertQuery(tenants=frozenset([tenant]), created_from=start, created_to=end))


def _rules(work: list[AlertDocument], now: datetime) -> list[RuleMonth]:
    titles: dict[str, dict[str, str]] = {}
    for doc in work:  # newest first
        titles.setdefault(str(dig(doc, "rule.id")), _title(doc))
    groups = grouped(work, now, lambda doc: str(dig(doc, "rule.id")))
    return [RuleMonth(rule=rule, title=titles[rule], figures=each) for rule, each in list(groups.items())[:RULES]]


def _title(doc: AlertDocument) -> dict[str, str]:
    title: Any = dig(doc, "wardwatch.alert.title")
    return {lang: str(text) for lang, text in title.items()} if isinstance(title, dict) else {}


def _cases(store: Store, tenant: str, start: datetime, end: datetime) -> list[Case]:
    """Return the cases that were open in the month, oldest first: what is open still or was closed since."""
    tenants = frozenset([tenant])
    found = cases_of(store, Find({"open": True}, tenants=tenants)) | cases_of(store, Find(tenants=tenants, start=start))
    meant = (case for case in found.values() if _was_open(case, start, end))
    return sorted(meant, key=lambda case: case.created_at)


def _was_open(case: Case, start: datetime, end: datetime) -> bool:
    closed = parse_time(case.closed_at) if case.closed_at else None
    return parse_time(case.created_at) < end and (closed is None or closed >= start)


def _case(case: Case) -> CaseMonth:
    return CaseMonth(opened_at=case.created_at, **case.model_dump(include=set(CaseMonth.model_fields) - {"opened_at"}))


def _awaited(case: Case) -> list[Awaited]:
    wishes = (wish for wish in case.awaited if wish.to is Side.HOSPITAL)
    return [Awaited(case=case.id, text=wish.text, asked_at=wish.at, due_at=wish.due_at) for wish in wishes]


def _silences(docs: list[AlertDocument]) -> list[Silence]:
    """Return when sources were not heard, also where that was expected: rules saw nothing either way."""
    found = []
    for doc in docs:
        if dig(doc, "rule.id") == SILENT_RULE:
            own = doc["wardwatch"]["alert"]
            source = str((own.get("group_by") or {}).get("log.source", ""))
            found.append(Silence(source=source, since=str(own["first_seen"]), until=own.get("recovered_at")))
    return sorted(found, key=lambda each: each.since)


def _suppressions(store: Store, tenant: str, start: datetime, end: datetime) -> list[Suppressed]:
    find = Find({"action": "suppress"}, tenants=frozenset([tenant]), start=start, end=end, limit=_SUPPRESSIONS)
    return [_suppressed(item.doc) for item in reversed(store.documents("audit").find(find).items)]


def _suppressed(entry: Document) -> Suppressed:
    reason = orjson.loads(entry.get("after") or "{}").get("reason", "")
    return Suppressed(at=entry["at"], by=entry["actor"], reason=str(reason))
