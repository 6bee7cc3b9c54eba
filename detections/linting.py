"""Lints: what a rule that loads may still have wrong. ``LINTS`` is the catalogue: a name, a severity, a function.

A lint takes a Draft and yields the text at whose line the finding stands, and what is wrong with the remedy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from detections import attack
from detections.correlation.written import Written
from detections.rule_tests import test_file
from detections.sigma import Rule
from detections.sigma.documents import YamlDocument
from detections.sigma.expression import And, Expression, Named, Not, Or, Test, tests

MAX_TITLE = 120
_MAX_NAMES = 10  # 1,024 cases of what holds
_WANTED = ("author", "date", "description", "falsepositives", "level", "status")

Lint = Callable[["Draft"], Iterator[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Draft:
    """A rule as it is written and as it was loaded."""

    document: YamlDocument
    rule: Rule | Written

    @property
    def written(self) -> Mapping[str, Any]:
        """The document's values."""
        return dict(self.document.value)

    @property
    def condition(self) -> Expression:
        """The condition on one event; a correlation has none, so it is one without tests."""
        return self.rule.condition if isinstance(self.rule, Rule) else And(())


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong; ``severity`` is error or warning."""

    file: Path
    line: int
    severity: str
    name: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.severity}: {self.name}: {self.message}"


def lint(draft: Draft) -> Iterator[Finding]:
    """Yield what the lints find in a rule."""
    for name, (severity, function) in LINTS.items():
        for needle, message in function(draft):
            yield Finding(draft.rule.file, draft.document.line_of(needle), severity, name, message)


def missing_field(draft: Draft) -> Iterator[tuple[str, str]]:
    """A rule without a field that people or alerts read."""
    for name in _WANTED:
        if not draft.written.get(name):
            yield "title:", f"no '{name}'"


def long_title(draft: Draft) -> Iterator[tuple[str, str]]:
    """A title that no list of alerts can show."""
    if len(draft.rule.title) > MAX_TITLE:
        yield "title:", f"{len(draft.rule.title)} characters, at most {MAX_TITLE} fit a list of alerts"


def constant_condition(draft: Draft) -> Iterator[tuple[str, str]]:
    """A condition that is true, or false, whatever its selections are."""
    names = sorted({node.name for node in _named(draft.condition)})
    if not 0 < len(names) <= _MAX_NAMES:
        return
    cases = product((False, True), repeat=len(names))
    outcomes = {_holds(draft.condition, dict(zip(names, case, strict=True))) for case in cases}
    if len(outcomes) == 1:
        yield "condition:", f"the condition is always {str(outcomes.pop()).lower()}"


def only_wildcards(draft: Draft) -> Iterator[tuple[str, str]]:
    """A value that any text meets."""
    for test in tests(draft.condition):
        if test.op in ("startswith", "endswith", "contains", "like") and not test.value.strip("*"):
            yield f"{test.written}:", f"any text meets '{test.written}': use |exists to ask for the field"


def open_regex(draft: Draft) -> Iterator[tuple[str, str]]:
    """A pattern that begins or ends with what finds anything; ``re`` searches, so it changes nothing but the cost."""
    for test in tests(draft.condition):
        if test.op == "re" and (test.value.startswith((".*", "^.*")) or test.value.endswith((".*", ".*$"))):
            yield f"{test.written}:", "the pattern begins or ends with '.*', which |re needs not: it searches"


def single_all(draft: Draft) -> Iterator[tuple[str, str]]:
    """``|all`` with one value."""
    for name, value in _items(draft.written.get("detection")):
        if "all" in name.split("|")[1:] and (not isinstance(value, list) or len(value) < 2):
            yield f"{name}:", f"'{name}' has one value: leave |all out or list more"


def unknown_attack_tag(draft: Draft) -> Iterator[tuple[str, str]]:
    """A tag of ATT&CK that the shipped version does not know."""
    for tag in draft.rule.card.tags:
        if tag.startswith("attack.") and not attack.is_known(tag):
            yield tag, f"'{tag}' is not in ATT&CK {attack.version()}, the version that ships"


def missing_chinese(draft: Draft) -> Iterator[tuple[str, str]]:
    """A text of the ``wardwatch:`` block in one language only."""
    block = draft.written.get("wardwatch")
    if not isinstance(block, dict):
        return
    own = draft.rule.presentation
    if not own.title.zh:
        yield "wardwatch:", "no 'title.zh': Chinese pages show the English title"
    for name, text in (("reason", own.reason), ("response", own.response)):
        if bool(text.en) != bool(text.zh):
            yield f"{name}:", f"'{name}' is in one language only"


def no_tests(draft: Draft) -> Iterator[tuple[str, str]]:
    """A rule without tests beside it."""
    if not test_file(draft.rule).exists():
        yield "title:", f"no events beside it in {test_file(draft.rule).name}"


def no_data(draft: Draft) -> Iterator[tuple[str, str]]:
    """A rule that no event of any parser can meet."""
    if draft.rule.no_data:
        yield "logsource:", f"no data expected: {draft.rule.no_data}"


LINTS: dict[str, tuple[str, Lint]] = {
    "missing_field": ("warning", missing_field),
    "long_title": ("warning", long_title),
    "constant_condition": ("error", constant_condition),
    "only_wildcards": ("warning", only_wildcards),
    "open_regex": ("warning", open_regex),
    "single_all": ("warning", single_all),
    "unknown_attack_tag": ("warning", unknown_attack_tag),
    "missing_chinese": ("warning", missing_chinese),
    "no_tests": ("warning", no_tests),
    "no_data": ("warning", no_data),
}
"""Name → severity and function."""


def _named(node: Expression) -> Iterator[Named]:
    if isinstance(node, Named):
        yield node
    elif isinstance(node, Not):
        yield from _named(node.item)
    elif isinstance(node, And | Or):
        for item in node.items:
            yield from _named(item)


def _holds(node: Expression, case: Mapping[str, bool]) -> bool:
    if isinstance(node, Named):
        return case[node.name]
    if isinstance(node, Not):
        return not _holds(node.item, case)
    if isinstance(node, Test):
        raise TypeError("a test outside every selection")
    held = [_holds(item, case) for item in node.items]
    return all(held) if isinstance(node, And) else any(held)


def _items(detection: object) -> Iterator[tuple[str, object]]:
    """Yield every field of a detection as it is written, with its values."""
    if isinstance(detection, dict):
        for name, value in detection.items():
            yield str(name), value
            yield from _items(value)
    elif isinstance(detection, list):
        for each in detection:
            yield from _items(each)
