"""Tests beside the rules: ``<rule>.test.yml`` holds events that the rule must match and events that it must not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from detections.explaining import Explanation, explain
from detections.explanation_text import Teller
from detections.sigma import Rule, documents
from detections.sigma.ruleset import ZONE
from wardwatch.errors import RuleError
from wardwatch.event import Document, Event, LogSource

_TELLER = Teller.of("en")


class RuleTests(BaseModel):
    """One test file: flat ECS documents. ``logsource`` holds for all, one inside a document for that document."""

    model_config = ConfigDict(extra="forbid")

    logsource: dict[str, str] | None = None
    match: list[dict[str, Any]] = []
    no_match: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event of a test file: whether the rule must match it, and what the rule makes of it."""

    number: int
    must_match: bool
    explanation: Explanation

    @property
    def passed(self) -> bool:
        """Whether the rule does what it must."""
        return self.explanation.matches == self.must_match

    @property
    def name(self) -> str:
        """The event as the test file calls it, such as ``match 2``."""
        return f"{'match' if self.must_match else 'no_match'} {self.number}"

    def answer(self) -> str:
        """Return in a sentence why the rule matches the event or does not."""
        return _TELLER.answer(self.explanation)

    def tree(self) -> list[str]:
        """Return the lines of the rule's condition on the event."""
        return list(_TELLER.tree(self.explanation))


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


def test_file(rule: Rule) -> Path:
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
    try:
        outcomes = list(_outcomes(rule, read(test_file(rule))))
    except RuleError as error:
        return Tested(rule.file, rule.title, problem=str(error))
    return Tested(rule.file, rule.title, outcomes, "" if outcomes else f"no events in {test_file(rule).name}")


def _outcomes(rule: Rule, tests: RuleTests) -> Iterator[Outcome]:
    for must_match, docs in ((True, tests.match), (False, tests.no_match)):
        for number, doc in enumerate(docs, 1):
            yield Outcome(number, must_match, explain(rule, _event(doc, tests.logsource, rule), ZONE))


def _event(doc: Document, logsource: dict[str, str] | None, rule: Rule) -> Event:
    own = doc.get("logsource") or logsource
    plain = {name: value for name, value in doc.items() if name != "logsource"}
    filled = {"event.id": "test", "@timestamp": "2026-01-01T00:00:00.000Z", **plain}
    return Event(filled, "test", rule.logsource.product, LogSource(**own) if own else rule.logsource)
