"""What a rule may cost, checked on its plain YAML before pySigma unfolds it: a small text can mean a large tree."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wardwatch.errors import RuleError

MAX_VALUES = 20_000
"""Values of a rule, each of ``windash`` counted with its spellings; SigmaHQ's largest rule has 4,433."""
MAX_TESTS = 100_000
"""Values times names in the condition: no condition reaches more tests. SigmaHQ's largest has 5,093."""
MAX_STARS = 2000
"""Stars in the values of a rule, counted likewise: 60,000 take 20 seconds to compile. SigmaHQ's rules have up to 50."""
MAX_CONDITION = 4096
"""Characters of all conditions of a rule together."""
MAX_NESTED = 64

_DASH = re.compile(r"\B[-/]\b")  # as pySigma finds the dashes that windash spells in five ways
_NAME = re.compile(r"[\w*]+")


def check(detection: object) -> None:
    """Raise RuleError for detections (the YAML of ``detection`` or ``filter``) that are too costly to unfold."""
    if not isinstance(detection, dict):
        return
    values = stars = 0
    for size, text in _sizes(detection, ""):
        values += size
        stars += size * text.count("*")
        if values > MAX_VALUES:
            raise RuleError(f"more than {MAX_VALUES} values, each spelling of 'windash' counted", step="rules")
        if stars > MAX_STARS:
            raise RuleError(f"more than {MAX_STARS} stars, each spelling of 'windash' counted", step="rules")
    conditions = _conditions(detection.get("condition"))
    check_condition(conditions)
    if values * len(_NAME.findall(conditions)) > MAX_TESTS:
        raise RuleError(f"a condition that may unfold to more than {MAX_TESTS} tests", step="rules")


def check_condition(conditions: str) -> None:
    """Raise RuleError for conditions that are too long or too deep."""
    if len(conditions) > MAX_CONDITION:
        raise RuleError(f"a condition of more than {MAX_CONDITION} characters", step="rules")
    if _depth(conditions) > MAX_NESTED:
        raise RuleError(f"a condition nested deeper than {MAX_NESTED}", step="rules")


def _sizes(node: object, name: str) -> Iterator[tuple[int, str]]:
    if isinstance(node, dict):
        for key, item in node.items():
            yield from _sizes(item, str(key))
    elif isinstance(node, list):
        for item in node:
            yield from _sizes(item, name)
    else:
        text = node if isinstance(node, str) else ""
        dashes = len(_DASH.findall(text)) if "windash" in name else 0
        yield 5 ** min(dashes, 9), text


def _conditions(node: object) -> str:
    return "\n".join(map(str, node)) if isinstance(node, list) else str(node)


def _depth(condition: str) -> int:
    depth = deepest = 0
    for character in condition:
        depth += (character == "(") - (character == ")")
        deepest = max(deepest, depth)
    return max(deepest, *(len(run.split()) for run in re.findall(r"(?:\bnot\s+)+", condition)), 0)
