"""The timeline of a case: what its alerts saw, and what people wrote, asked and changed, in order of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import orjson

from dashboards import audit
from dashboards.auth.people import Person
from dashboards.cases import case as cases
from dashboards.cases.case import Case
from dashboards.i18n import known
from dashboards.present import dig, shown
from wardwatch.store import Store, Stored

SHOWN_ALERTS: Final = 200
_SHOWN_EVENTS = 500
_MADE_ELSEWHERE = frozenset({"case_note", "case_task", "case_ask", "case_answer", "case_withdraw", "case_file"})
"""Changes that stand in the timeline by what they added."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One moment: ``kind`` says what it is, ``by`` who did it, ``alert`` where it comes from."""

    at: str
    kind: str
    text: str
    by: str = ""
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Whole:
    """A case with its alerts, newest first, at most SHOWN_ALERTS, and its timeline, oldest first."""

    case: Case
    alerts: list[Stored]
    timeline: list[Entry]


def whole(store: Store, person: Person, identifier: str, lang: str) -> Whole:
    """Return a case with all that happened; raises NotFound."""
    case = cases.read(store, person, identifier)
    alerts = list(islice(cases.alerts_of(store, person, case), SHOWN_ALERTS))
    entries = [*_seen(store, person, case, alerts, lang), *_written(case, lang), *_changed(store, case, lang)]
    return Whole(case, alerts, sorted(entries, key=lambda entry: entry.at))


def words_of(words: dict[str, str], lang: str) -> str:
    """Return the text in a language, or in the one there is."""
    return words.get(lang) or next(iter(words.values()), "")


def _seen(store: Store, person: Person, case: Case, alerts: Sequence[Stored], lang: str) -> Iterator[Entry]:
    owners: dict[str, str] = {}
    for item in alerts:
        own, identifier = item.doc["wardwatch"]["alert"], str(item.doc["event"]["id"])
        title = shown(words_of(own.get("title") or {}, lang) or item.doc.get("message"))
        yield Entry(str(dig(item.doc, "event.created")), "alert", title, alert=identifier)
        owners |= {str(one["id"]): identifier for one in own.get("source_events") or [] if "id" in one}
    for doc in store.events.get(person.scope, case.tenant, list(owners)[:_SHOWN_EVENTS]):
        action = doc.get("event.action") or doc.get("message") or doc.get("event.dataset")
        yield Entry(str(doc["@timestamp"]), "event", shown(action, 160), alert=owners.get(str(doc["event.id"]), ""))


def _written(case: Case, lang: str) -> Iterator[Entry]:
    for note in case.notes:
        yield Entry(note.at, "note", note.text, note.by)
    for task in case.tasks:
        yield Entry(task.at, "task", words_of(task.words, lang), task.by)
        if task.done_at:
            yield Entry(task.done_at, "task_done", words_of(task.words, lang), task.done_by)
    for file in case.files:
        yield Entry(file.at, "file", file.name, file.by)
    for one in case.requests:
        yield Entry(one.at, f"asked_{one.to}", one.text, one.by)
        if one.answered_at:
            yield Entry(one.answered_at, _answered(one.agreed), one.answer, one.answered_by)
        if one.withdrawn_at:
            yield Entry(one.withdrawn_at, "withdrawn", one.text, one.withdrawn_by)


def _answered(agreed: bool | None) -> str:
    return {None: "answered", True: "agreed", False: "refused"}[agreed]


def _changed(store: Store, case: Case, lang: str) -> Iterator[Entry]:
    for entry in audit.of_case(store, case.id, case.change):
        if entry["action"] not in _MADE_ELSEWHERE:
            yield Entry(entry["at"], entry["action"], _values(orjson.loads(entry["after"]), lang), entry["actor"])


def _values(after: dict[str, Any], lang: str) -> str:
    texts = {name: value for name, value in after.items() if isinstance(value, str) and name in _TOLD}
    return "; ".join(
        f"{known(lang, f'case.{name}', name)}: {known(lang, f'{_TOLD[name]}.{value}', value)}"
        for name, value in texts.items()
    )


_TOLD: Final = {
    "title": "",
    "severity": "severity",
    "owner": "",
    "next_step": "",
    "blockers": "",
    "lessons": "",
    "verdict": "verdict",
    "reason": "",
    "merged_into": "",
    "split_from": "",
}
"""Facts whose new value the timeline tells → the vocabulary of the value."""
