"""What ``sigma check`` finds: pySigma's validators, run here and offline.

sigma-cli's command runs the same validators. Two of them load MITRE's data over the network: ATT&CK tags are held
against the version that ships (``linting.unknown_attack_tag``), D3FEND tags by their form
alone. Issues are warnings, as they are for that command.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields

from sigma.exceptions import SigmaRuleLocation
from sigma.rule import SigmaDetectionItem, SigmaRule, SigmaRuleTag
from sigma.types import SigmaString
from sigma.validation import SigmaValidator
from sigma.validators.base import SigmaRuleValidator, SigmaValidationIssue
from sigma.validators.core import validators

from detections.linting import Draft, Finding
from detections.sigma import Rule

ONLINE = frozenset(("ATTACKTagValidator", "D3FENDTagValidator"))
"""Validators that fetch data when they are first asked."""

_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def offline() -> list[type[SigmaRuleValidator]]:
    """Return pySigma's validators that need nothing from the network."""
    return [each for each in validators.values() if each.__name__ not in ONLINE]


def check(drafts: Iterable[Draft]) -> Iterator[Finding]:
    """Yield what the validators find in the rules, one by one and among each other."""
    known = {draft.rule.id: draft for draft in drafts}
    located = [_located(draft.rule) for draft in known.values() if isinstance(draft.rule, Rule)]
    for issue in SigmaValidator(offline()).validate_rules(iter(located)):
        for rule in issue.rules:
            draft = known[str(rule.id)]
            yield _finding(draft, issue)


def _located(rule: Rule) -> SigmaRule:
    """Return the rule with its file, whose name is looked at too."""
    rule.sigma.source = SigmaRuleLocation(rule.file)
    return rule.sigma


def _finding(draft: Draft, issue: SigmaValidationIssue) -> Finding:
    told = [
        getattr(issue, each.name) for each in fields(issue) if each.name not in ("rules", "description", "severity")
    ]
    texts = [text for each in told if (text := _text(each))]
    name = _WORD.sub("_", type(issue).__name__.removesuffix("Issue")).lower()
    message = ": ".join([issue.description, *texts])[:500]
    return Finding(draft.rule.file, draft.document.line_of(*texts, "title:"), "warning", f"sigma_{name}", message)


def _text(told: object) -> str:
    if isinstance(told, SigmaDetectionItem):
        return str(told.field or "")
    return str(told) if isinstance(told, str | int | SigmaString | SigmaRuleTag) else ""
