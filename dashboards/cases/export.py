"""A case for those without a console: Markdown, and an OCSF Incident Finding (class 2005).

https://schema.ocsf.io/1.5.0/classes/incident_finding. The printable page is a template (case_export.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from zoneinfo import ZoneInfo

from dashboards.cases.case import Case, CaseStatus
from dashboards.cases.timeline import Whole, words_of
from dashboards.i18n import known, word
from dashboards.present import dig, moment
from dashboards.summary import escaped
from wardwatch import __version__
from wardwatch.alert import Severity, Verdict
from wardwatch.event import parse_time
from wardwatch.store import Stored

OCSF_VERSION: Final = "1.5.0"
_SEVERITY: Final = {
    Severity.INFORMATIONAL: 1,
    Severity.LOW: 2,
    Severity.MEDIUM: 3,
    Severity.HIGH: 4,
    Severity.CRITICAL: 5,
}
_VERDICT: Final = {
    Verdict.FALSE_POSITIVE_LOGIC: 1,
    Verdict.FALSE_POSITIVE_DATA: 1,
    Verdict.TRUE_POSITIVE: 2,
    Verdict.BENIGN_POSITIVE: 5,
    Verdict.EXERCISE: 6,
    Verdict.UNDETERMINED: 7,
    Verdict.DUPLICATE: 10,
}
_STATUS: Final = {CaseStatus.OPEN: 2, CaseStatus.WAITING: 3, CaseStatus.CLOSED: 5}
_CREATE, _UPDATE, _CLOSE = 1, 2, 3


def incident_finding(whole: Whole) -> dict[str, Any]:
    """Return the case as an OCSF Incident Finding; times are milliseconds of Unix time."""
    case = whole.case
    activity = _CLOSE if not case.open else _CREATE if case.at == case.created_at else _UPDATE
    infos = [_finding_info(item) for item in whole.alerts]
    finding: dict[str, Any] = {
        "class_uid": 2005,
        "category_uid": 2,
        "activity_id": activity,
        "type_uid": 200500 + activity,
        "time": _ms(case.at),
        "severity_id": _SEVERITY[case.severity],
        "status_id": _STATUS[case.status],
        "desc": case.title,
        "finding_info_list": infos,
        "assignee": {"name": case.owner or case.created_by, "type_id": 1},
        "metadata": {
            "version": OCSF_VERSION,
            "product": {"name": "wardwatch", "vendor_name": "wardwatch", "version": __version__},
            "tenant_uid": case.tenant,
            "correlation_uid": case.id,
            "uid": case.id,
        },
    }
    if infos:
        finding["start_time"] = min(info["first_seen_time"] for info in infos)
        finding["end_time"] = max(info["last_seen_time"] for info in infos)
    if case.verdict:
        finding["verdict_id"] = _VERDICT[case.verdict]
    if case.reason:
        finding["comment"] = case.reason
    return finding


def _finding_info(item: Stored) -> dict[str, Any]:
    doc = item.doc
    return {
        "uid": str(doc["event"]["id"]),
        "title": str(doc.get("message") or doc["event"]["id"]),
        "desc": str(dig(doc, "event.reason") or ""),
        "created_time": _ms(dig(doc, "event.created")),
        "first_seen_time": _ms(dig(doc, "wardwatch.alert.first_seen")),
        "last_seen_time": _ms(dig(doc, "wardwatch.alert.last_seen")),
        "analytic": {
            "uid": str(dig(doc, "rule.id") or ""),
            "name": str(dig(doc, "rule.name") or ""),
            "type_id": 1,
            "version": str(dig(doc, "rule.version") or ""),
        },
    }


def _ms(value: object) -> int:
    return round(parse_time(str(value)).timestamp() * 1000)


def markdown(whole: Whole, hospital: str, zone: ZoneInfo, lang: str) -> str:
    """Return the case as Markdown (CommonMark); what people and logs wrote is escaped."""
    return "\n".join(_lines(whole, hospital, zone, lang))


def _lines(whole: Whole, hospital: str, zone: ZoneInfo, lang: str) -> Iterator[str]:
    case = whole.case
    yield f"# {escaped(case.title)}\n"
    for name, value in facts(case, hospital, zone, lang):
        yield f"- **{word(lang, f'case.{name}')}**: {escaped(value)}"
    yield f"\n## {word(lang, 'case.timeline')}\n"
    for entry in whole.timeline:
        what = known(lang, f"entry.{entry.kind}", entry.kind)
        yield f"- {moment(entry.at, zone).text} {what} {escaped(entry.by)} {escaped(entry.text)}".rstrip()
    yield from _section(lang, "tasks", (_task(task.words, task.owner, task.done_by, lang) for task in case.tasks))
    asked = (f"{one.text} — {one.answer or '…'} {one.answered_by}" for one in case.requests)
    yield from _section(lang, "requests", asked)
    yield from _section(lang, "files", (f"{one.name} {one.size_bytes} SHA-256 {one.sha256}" for one in case.files))
    yield from _section(lang, "notes", (f"{one.by}: {one.text}" for one in case.notes))


def facts(case: Case, hospital: str, zone: ZoneInfo, lang: str) -> list[tuple[str, str]]:
    """Return what heads a case as (key of its name, value), without what is empty."""
    status = known(lang, f"case_status.{case.status}", case.status)
    verdict = known(lang, f"verdict.{case.verdict}", str(case.verdict)) if case.verdict else ""
    named = [
        ("id", case.id),
        ("hospital", hospital),
        ("severity", known(lang, f"severity.{case.severity}", case.severity)),
        ("status", status),
        ("verdict", verdict),
        ("reason", case.reason),
        ("owner", case.owner),
        ("next_step", case.next_step),
        ("blockers", case.blockers),
        ("lessons", case.lessons),
        ("opened", f"{moment(case.created_at, zone).text} {case.created_by}"),
        ("closed", moment(case.closed_at, zone).text if case.closed_at else ""),
    ]
    return [(name, value) for name, value in named if value]


def _section(lang: str, name: str, lines: Iterator[str]) -> Iterator[str]:
    written = [f"- {escaped(line)}" for line in lines]
    if written:
        yield "\n".join([f"\n## {word(lang, f'case.{name}')}\n", *written])


def _task(words: dict[str, str], owner: str, done_by: str, lang: str) -> str:
    state = f"{word(lang, 'case.done')} {done_by}" if done_by else owner
    return f"{words_of(words, lang)} — {state}"
