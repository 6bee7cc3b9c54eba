"""Tests beside the rules: ``<rule>.test.yml`` holds events that the rule must match and events that it must not."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from detections.correlation.written import Written
from detections.explaining import explain
from detections.explanation_text import Teller
from detections.sigma import Rule, documents
from detections.sigma.ruleset import ZONE
from wardwatch.errors import RuleError
from wardwatch.event import Document, Event, LogSource

_TELLER = Teller.of("en")


class RuleTests(BaseModel):
    """One test file: flat ECS documents, and for a correlation lists of them, each a sequence.

    ``logsource`` holds for all, one inside a document for that document.
    """

    model_config = ConfigDict(extra="forbid")

    logsource: dict[str, str] | None = None
    match: list[dict[str, Any] | list[dict[str, Any]]] = []
    no_match: list[dict[str, Any] | list[dict[str, Any]]] = []

    @property
    def both(self) -> Iterator[tuple[bool, int, dict[str, Any] | list[dict[str, Any]]]]:
        """Yield whether it must match, its number from 1, and the event or sequence."""
        for must_match, items in ((True, self.match), (False, self.no_match)):
            for number, item in enumerate(items, 1):
                yield must_match, number, item


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event or sequence of a test file: whether it must match, whether it does, why, and lines that tell more."""

    number: int
    must_match: bool
    matches: bool
    answer: str
    details: Sequence[str]

    @property
    def passed(self) -> bool:
        """Whether the rule does what it must."""
        return self.matches == self.must_match

    @property
    def name(self) -> str:
        """The event as the test file calls it, such as ``match 2``."""
        return f"{'match' if self.must_match else 'no_match'} {self.number}"


@dataclass(frozen=True, slots=True)
class Tested:
    """A rule's file with the outcomes of its events; ``problem`` says why there are none, or why it is not loaded."""

    file: Path
    title: str
    outcomes: Sequence[Outcome] = ()
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether the rule has events and does with each what it must."""
        return not self.problem and all(each.passed for each in self.outcomes)


def test_file(rule: Rule | Written) -> Path:
    """Return the path of the rule's tests."""
    return rule.file.with_name(f"{rule.file.stem}.test.yml")


def read(path: Path) -> RuleTests:
    """Return the tests in a file; raises RuleError."""
    found = documents.read(path)
    try:
        return RuleTests.model_validate(found[0].value if len(found) == 1 else None)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise RuleError(f"{where}: {first['msg']}", step="rules test", record=f"{path}:1") from None


def run(rule: Rule) -> Tested:
    """Return what the rule makes of the events beside it."""
    return tested(rule, lambda tests: _outcomes(rule, tests))


def tested(rule: Rule | Written, outcomes_of: Callable[[RuleTests], Iterator[Outcome]]) -> Tested:
    """Return the outcomes of the tests beside a rule, or why there are none."""
    try:
        outcomes = list(outcomes_of(read(test_file(rule))))
    except RuleError as error:
        return Tested(rule.file, rule.title, problem=str(error))
    return Tested(rule.file, rule.title, outcomes, "" if outcomes else f"nothing for it in {test_file(rule).name}")


def _outcomes(rule: Rule, tests: RuleTests) -> Iterator[Outcome]:
    for must_match, number, doc in tests.both:
        if isinstance(doc, dict):
            found = explain(rule, _event(doc, tests.logsource, rule), ZONE)
            yield Outcome(number, must_match, found.matches, _TELLER.answer(found), list(_TELLER.tree(found)))


def _event(doc: Document, logsource: dict[str, str] | None, rule: Rule) -> Event:
    own = doc.get("logsource") or logsource
    plain = {name: value for name, value in doc.items() if name != "logsource"}
    filled = {"event.id": "test", "@timestamp": "2026-01-01T00:00:00.000Z", **plain}
    return Event(filled, "test", rule.logsource.product, LogSource(**own) if own else rule.logsource)
