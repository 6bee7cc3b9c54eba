"""Tests beside the rules: ``<rule>.test.yml`` holds events that the rule must match and events that it must not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from detections.sigma import Rule, documents
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from wardwatch.errors import RuleError
from wardwatch.event import Document, Event, LogSource


class RuleTests(BaseModel):
    """One test file: flat ECS documents. ``logsource`` holds for all, one inside a document for that document."""

    model_config = ConfigDict(extra="forbid")

    logsource: dict[str, str] | None = None
    match: list[dict[str, Any]] = []
    no_match: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class Outcome:
    """One event of a test file: whether the rule must match it, and why the test failed ("" when it passed)."""

    rule: Rule
    number: int
    must_match: bool
    failure: str


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


def run(rule: Rule) -> Iterator[Outcome]:
    """Yield the outcome of each of the rule's test events; raises RuleError for a test file that can't be read."""
    tests = read(test_file(rule))
    for must_match, docs in ((True, tests.match), (False, tests.no_match)):
        for number, doc in enumerate(docs, 1):
            event = _event(doc, tests.logsource, rule)
            yield Outcome(rule, number, must_match, _failure(rule, event, must_match))


def _event(doc: Document, logsource: dict[str, str] | None, rule: Rule) -> Event:
    own = doc.get("logsource") or logsource
    plain = {name: value for name, value in doc.items() if name != "logsource"}
    filled = {"event.id": "test", "@timestamp": "2026-01-01T00:00:00.000Z", **plain}
    return Event(filled, "test", rule.logsource.product, LogSource(**own) if own else rule.logsource)


def _failure(rule: Rule, event: Event, must_match: bool) -> str:
    if must_match and not rule.concerns(event.logsource):
        return f"the rule's log source {rule.logsource} is not the event's {event.logsource}"
    matched = rule.concerns(event.logsource) and rule.applies(View(event.doc, ZONE))
    if matched == must_match:
        return ""
    return "does not match" if must_match else f"matches by {rule.matched(View(event.doc, ZONE))}"
