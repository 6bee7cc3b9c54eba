"""An alert as a page shows it: the words of one language, times in the hospital's zone, hostile text made visible."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import accumulate
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from dashboards.hospitals import Hospital
from dashboards.i18n import known, word
from dashboards.workflow import state_of
from wardwatch.alert import OPEN, AlertDocument, Status, severity_of
from wardwatch.errors import DecodeError
from wardwatch.event import parse_time
from wardwatch.service_levels import WARN_AT
from wardwatch.text import safe_text

_LINE = 400
_TOKEN = re.compile(r"(pt|st)_\w+")
_TOKEN_CHARACTERS = 9
_ENTITIES = (
    ("patient", "wardwatch.alert.patient_token"),
    ("user", "user.id"),
    ("user", "user.name"),
    ("host", "host.name"),
    ("source", "source.ip"),
    ("destination", "destination.ip"),
)
_LEVELS = ((80, 1), (60, 2), (40, 3))


def dig(doc: AlertDocument, path: str) -> Any:
    """Return the value at a dotted path, or None."""
    value: Any = doc
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def shown(value: object, limit: int = _LINE) -> str:
    """Return a value of a document as one line of safe text."""
    if isinstance(value, list):
        value = ", ".join(shown(item, limit) for item in value[:20])
    elif isinstance(value, dict | bool):
        value = orjson.dumps(value).decode()
    return safe_text("" if value is None else str(value), limit=limit)


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as shown, and in UTC for its title."""

    text: str
    utc: str


@dataclass(frozen=True, slots=True)
class Due:
    """A deadline: what it waits for (``acknowledge``, ``decide``), how it is said, the share of its time that is over.

    ``state`` is ``running``, ``soon`` (three quarters are over) or ``breached``.
    """

    waits: str
    text: str
    share: float
    state: str


@dataclass(frozen=True, slots=True)
class Term:
    """One term of the priority; ``start`` is where its part of the bar begins, in points."""

    name: str
    value: str
    points: float
    start: float


@dataclass(frozen=True)
class AlertView:
    """One alert in one language."""

    doc: AlertDocument
    hospital: Hospital
    lang: str

    @property
    def id(self) -> str:
        """The alert's id."""
        return str(self.doc["event"]["id"])

    @property
    def state(self) -> str:
        """The workflow's state, for forms."""
        return state_of(self.doc)

    @property
    def status(self) -> str:
        """The workflow's status."""
        return str(self._own("status"))

    @property
    def is_open(self) -> bool:
        """Whether it can be closed."""
        return self.status in {status.value for status in OPEN}

    @property
    def is_new(self) -> bool:
        """Whether nobody has taken it."""
        return self.status == Status.NEW.value

    @cached_property
    def priority(self) -> int:
        """The priority, 0 to 100."""
        return round(float(self._own("priority") or 0))

    @property
    def level(self) -> int:
        """P1 to P4."""
        return next((level for least, level in _LEVELS if self.priority >= least), 4)

    @property
    def severity(self) -> str:
        """Name of the severity."""
        return severity_of(self.doc).value

    @cached_property
    def title(self) -> str:
        """The rule's title in the language."""
        return shown(self._worded("title") or self.doc.get("message"))

    @property
    def sentence(self) -> str:
        """Why, in one sentence with values."""
        return shown(self._worded("sentence") or dig(self.doc, "event.reason"), 1000)

    @property
    def response(self) -> str:
        """What the rule's author advises."""
        return shown(self._worded("response"), 2000)

    @property
    def count(self) -> int:
        """How many events it stands for."""
        return int(self._own("count") or 1)

    @property
    def assignee(self) -> str:
        """Who works on it."""
        return shown(self._own("assignee"), 64)

    @property
    def verdict(self) -> str:
        """The verdict's word, or ""."""
        return str(self._own("verdict") or "")

    @property
    def note(self) -> str:
        """The note given at close."""
        return shown(self._own("reason"), 2000)

    @property
    def technique(self) -> str:
        """The first ATT&CK technique."""
        return next(iter(self.techniques), "")

    @cached_property
    def techniques(self) -> list[str]:
        """Ids of the ATT&CK techniques, the finer one where there are two."""
        found = dig(self.doc, "threat.technique.subtechnique.id") or dig(self.doc, "threat.technique.id") or []
        return [shown(item, 20) for item in (found if isinstance(found, list) else [found])]

    @cached_property
    def entities(self) -> list[tuple[str, str]]:
        """What it is about, as (kind, value), each value once."""
        found = {shown(value, 80): kind for kind, path in reversed(_ENTITIES) for value in _each(dig(self.doc, path))}
        return [(kind, value) for value, kind in reversed(found.items())]

    @property
    def entity(self) -> str:
        """The two entities that a row has place for, each by its beginning; who did it stands first."""
        named = sorted(self.entities, key=lambda item: item[0] == "patient")[:2]
        return " · ".join(_brief(kind, value) for kind, value in named)

    @property
    def terms(self) -> list[Term]:
        """The terms of the priority that gave points."""
        reasons = [reason for reason in self._own("priority_reasons") or [] if reason["points"]]
        points = [float(reason["points"]) for reason in reasons]
        return [
            Term(known(self.lang, f"term.{reason['term']}", reason["term"]), self._measure(reason), worth, start)
            for reason, worth, start in zip(reasons, points, accumulate(points, initial=0.0), strict=False)
        ]

    def _measure(self, reason: dict[str, Any]) -> str:
        if reason["term"] == "severity":
            return known(self.lang, f"severity.{self.severity}", self.severity)
        if reason["term"] == "criticality":
            criticality = shown(self._own("asset_criticality"), 40)
            return known(self.lang, f"criticality.{criticality}", criticality)
        return f"{reason['value']:.0%}"

    @property
    def matched(self) -> list[tuple[str, list[str]]]:
        """The fields and values that made the rule match."""
        return [
            (shown(item.get("field"), 80), [shown(value, 200) for value in _each(item.get("values"))])
            for item in self._own("matched") or []
            if isinstance(item, dict)
        ]

    @property
    def evidence_ids(self) -> list[str]:
        """Ids of its sample events."""
        return [str(item["id"]) for item in self._own("source_events") or [] if isinstance(item, dict) and "id" in item]

    @cached_property
    def due(self) -> Due | None:
        """The deadline that runs, None where none does."""
        due_at = self._own("due_at")
        if not self.is_open or not due_at:
            return None
        waits = "decide" if self._own("ack_at") else "acknowledge"
        begun = self._own("ack_at") if waits == "decide" else dig(self.doc, "event.created")
        return due_of(waits, str(begun), str(due_at), self.lang)

    @property
    def is_paused(self) -> bool:
        """Whether the clock waits for the hospital."""
        return self.is_open and bool(self._own("paused_at"))

    @property
    def continues(self) -> str:
        """The id of the alert that this one goes on with, or ""."""
        return str(self._own("continues") or "")

    @property
    def case(self) -> str:
        """The id of the case that it is part of, or ""."""
        return str(self._own("case_id") or "")

    @property
    def first_seen(self) -> Moment:
        """When its first event happened."""
        return moment(self._own("first_seen") or self.doc.get("@timestamp"), self.hospital.zone)

    @property
    def last_seen(self) -> Moment:
        """When its newest event happened."""
        return moment(self._own("last_seen") or self.doc.get("@timestamp"), self.hospital.zone)

    @property
    def created(self) -> Moment:
        """When the alert was raised."""
        return moment(dig(self.doc, "event.created"), self.hospital.zone)

    @property
    def age(self) -> str:
        """How long ago it was raised, in words."""
        return age(dig(self.doc, "event.created"), self.lang)

    @property
    def raw(self) -> str:
        """The whole document as indented JSON; a page escapes it."""
        return safe_text(orjson.dumps(self.doc, option=orjson.OPT_INDENT_2).decode())

    def rule(self, name: str) -> str:
        """Return a field of the rule."""
        return shown(dig(self.doc, f"rule.{name}"), 2000)

    @property
    def false_positives(self) -> list[str]:
        """What the rule's author knows to look alike."""
        return [shown(item) for item in _each(self._own("false_positives"))]

    @cached_property
    def _alert(self) -> dict[str, Any]:
        found = dig(self.doc, "wardwatch.alert")
        return found if isinstance(found, dict) else {}

    def _own(self, name: str) -> Any:
        return self._alert.get(name)

    def _worded(self, name: str) -> Any:
        words = self._own(name)
        return words.get(self.lang) or words.get("en") if isinstance(words, dict) else None


def _each(value: object) -> Iterator[object]:
    yield from (each for each in (value if isinstance(value, list) else [value]) if each not in (None, ""))


def _brief(kind: str, value: str) -> str:
    if _TOKEN.fullmatch(value):
        return value[:_TOKEN_CHARACTERS]
    return value.partition(".")[0] if kind == "host" else value


def moment(value: object, zone: ZoneInfo) -> Moment:
    """Return an RFC 3339 time as shown in a zone; a text that is no time is shown as it is."""
    try:
        at = parse_time(str(value))
    except DecodeError:
        return Moment(shown(value, 40), "")
    return Moment(f"{at.astimezone(zone):%Y-%m-%d %H:%M:%S}", f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")


def due_of(waits: str, begun: str, due_at: str, lang: str) -> Due | None:
    """Return a deadline as shown now; None for times that are none."""
    try:
        start, end = parse_time(begun), parse_time(due_at)
    except DecodeError:
        return None
    now = datetime.now(UTC)
    share = min(1.0, max(0.0, (now - start) / (end - start))) if end > start else 1.0
    left = end - now
    key = "due.over" if left < timedelta() else "due.left"
    state = "breached" if left < timedelta() else "soon" if share >= WARN_AT else "running"
    return Due(waits, word(lang, key, time=duration(abs(left), lang)), share, state)


def duration(length: timedelta, lang: str) -> str:
    """Return a length of time in its largest units: 6 min, 1 h 8 min, 2 d."""
    minutes = int(length.total_seconds() // 60)
    if minutes < 60:
        return word(lang, "age.minutes", n=minutes)
    if minutes < 600 and minutes % 60:
        return f"{word(lang, 'age.hours', n=minutes // 60)} {word(lang, 'age.minutes', n=minutes % 60)}"
    return word(lang, "age.hours", n=minutes // 60) if minutes < 2880 else word(lang, "age.days", n=minutes // 1440)


def age(value: object, lang: str) -> str:
    """Return how long ago a time was, in its largest unit."""
    try:
        return duration(max(timedelta(), datetime.now(UTC) - parse_time(str(value))), lang)
    except DecodeError:
        return "—"
