"""The hospital's report of an incident to its authority, and the clock of the law.

国家网络安全事件报告管理办法 (in force since 2025-11-01): a larger incident (较大以上) is reported within one hour by an
operator of critical information infrastructure, to the protecting department and the police; within two hours by
central organs; within four hours by others, to the cyberspace administration of the province.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from dashboards.auth.people import Person, Right
from dashboards.cases import case as cases
from dashboards.cases.case import Case, Operator, Report
from wardwatch.errors import RecordError
from wardwatch.event import parse_time, rfc3339
from wardwatch.store import Store

HOURS: Final = {Operator.CRITICAL: 1, Operator.CENTRAL: 2, Operator.OTHER: 4}


@dataclass(frozen=True, slots=True)
class Written:
    """What somebody wrote into the form."""

    operator: Operator
    known_at: datetime
    happened: str = ""
    impact: str = ""
    measures: str = ""
    contact: str = ""


def due_at(report: Report) -> datetime:
    """Return by when the report must be with the authority; the law's clock never pauses."""
    return parse_time(report.known_at) + timedelta(hours=HOURS[report.operator])


def write(store: Store, person: Person, identifier: str, state: str, written: Written) -> Case:
    """Write the report or rewrite it before it is sent; ``state`` is "" for a case that has none yet.

    Raises Forbidden, NotFound, Overtaken, RecordError.
    """
    fresh = Report(
        operator=written.operator,
        known_at=rfc3339(written.known_at),
        happened=cases.text(written.happened, what="what happened"),
        impact=cases.text(written.impact, what="the impact"),
        measures=cases.text(written.measures, what="the measures"),
        contact=cases.text(written.contact, cases.LINE_CHARACTERS, what="the contact"),
        at=cases.now(),
        by=person.name,
    )

    def rewrite(before: Case) -> Case:
        _demand(before, state, "case_report")
        return before.model_copy(update={"report": fresh})

    return cases.change(store, person, identifier, "case_report", rewrite, right=Right.ANSWER)


def mark_sent(store: Store, person: Person, identifier: str, state: str) -> Case:
    """Say that the hospital has sent the report as it stands: it changes no more.

    Raises Forbidden, NotFound, Overtaken, RecordError for one that says nothing of what happened.
    """

    def send(before: Case) -> Case:
        _demand(before, state, "case_report_sent")
        if before.report is None or not before.report.happened:
            raise RecordError("the report does not say what happened", step="case_report_sent", record=identifier)
        sent = before.report.model_copy(update={"sent_at": cases.now(), "sent_by": person.name})
        return before.model_copy(update={"report": sent})

    return cases.change(store, person, identifier, "case_report_sent", send, right=Right.ANSWER)


def _demand(case: Case, state: str, step: str) -> None:
    found = case.report
    if found and (found.sent_at or found.state != state):
        raise cases.Overtaken(case, step=step, by=found.sent_by or found.by, at=found.sent_at or found.at)
    if state_of(case) != state:
        raise cases.Overtaken(case, step=step)


def state_of(case: Case) -> str:
    """Return the state of a case's report, "" where there is none."""
    return case.report.state if case.report else ""
