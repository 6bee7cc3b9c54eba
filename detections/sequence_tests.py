"""Tests beside correlations: the lists of events in ``<rule>.test.yml``, each a sequence that fires or does not.

An event has ``@timestamp``, or ``at: 90s`` after the beginning of the sequence. One with ``times: 5`` stands for five,
``every: 10s``; ``{n}`` in its values is the number of each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detections import logsource
from detections.correlation import records
from detections.correlation.replay import Replay
from detections.correlation.written import Written
from detections.rule_tests import Outcome, RuleTests, Tested, tested
from detections.sigma import Ruleset
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from wardwatch.errors import RuleError
from wardwatch.event import Document, Event, LogSource, parse_time, rfc3339
from wardwatch.text import safe_text

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)
_SPAN = r"^\d{1,6}[smhd]$"
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Step(BaseModel):
    """What an event of a sequence says besides its fields."""

    model_config = ConfigDict(extra="forbid")

    at: str = Field("0s", pattern=_SPAN)
    times: int = Field(1, ge=1, le=10_000)
    every: str = Field("1s", pattern=_SPAN)
    logsource: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Met:
    """One event of a sequence and the titles of the rules that it met."""

    event: Event
    titles: Sequence[str]

    def __str__(self) -> str:
        return safe_text(f"{self.event.doc['@timestamp']}: {', '.join(self.titles) or 'meets no rule'}")


def run(correlation: Written, ruleset: Ruleset) -> Tested:
    """Return what a correlation makes of the sequences beside it, with the rules that the set holds."""
    return tested(correlation, lambda tests: _outcomes(correlation, tests, ruleset))


def _outcomes(correlation: Written, tests: RuleTests, ruleset: Ruleset) -> Iterator[Outcome]:
    for must_match, number, docs in tests.both:
        if isinstance(docs, list):
            met, fired = _played(
                correlation, list(_events(docs, tests.logsource, correlation.tenant or "test")), ruleset
            )
            yield Outcome(number, must_match, bool(fired), _answer(met, fired), list(map(str, met)))


def _played(correlation: Written, events: Sequence[Event], ruleset: Ruleset) -> tuple[list[Met], list[str]]:
    """Return the events with the rules they met, and the ids of the events at which the correlation fired."""
    replay = Replay()
    seen: list[Met] = []
    for event in events:
        matched = ruleset.match(event, ZONE)
        intakes = ruleset.correlated.of((each.rule.id for each in matched), correlation.tenant)
        for fed, above in records.of_event(intakes, event, View(event.doc, ZONE)):
            replay.take(fed, above)
        seen.append(Met(event, [each.rule.title for each in matched]))
    fired = [each.last.event_id for each in replay.firings() if each.correlation.card.id == correlation.id]
    return seen, fired


def _answer(met: Sequence[Met], fired: Sequence[str]) -> str:
    of = f"{sum(bool(each.titles) for each in met)} of {len(met)} events meet a rule"
    return f"It fires {len(fired)} times: {of}." if fired else f"It does not fire: {of}."


def _events(docs: Sequence[Document], default: dict[str, str] | None, tenant: str) -> Iterator[Event]:
    numbers = count(1)
    for doc in docs:
        step = _step(doc)
        plain = {name: value for name, value in doc.items() if name not in Step.model_fields}
        begin = parse_time(plain["@timestamp"]) if "@timestamp" in plain else _BEGINNING + _span(step.at)
        for turn in range(step.times):
            number = next(numbers)
            moment = begin + turn * _span(step.every)
            filled = {"event.id": f"event {number}", **_numbered(plain, number), "@timestamp": rfc3339(moment)}
            own = step.logsource or default
            source = LogSource(**own) if own else logsource.of_document(filled)
            yield Event(filled, tenant, source.product, source, received=moment)


def _step(doc: Mapping[str, Any]) -> Step:
    try:
        return Step.model_validate({name: doc[name] for name in Step.model_fields if name in doc})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise RuleError(f"{where}: {first['msg']}", step="rules test") from None


def _span(text: str) -> timedelta:
    return timedelta(**{_UNITS[text[-1]]: int(text[:-1])})


def _numbered(doc: Document, number: int) -> Document:
    return {name: value.replace("{n}", str(number)) if isinstance(value, str) else value for name, value in doc.items()}
