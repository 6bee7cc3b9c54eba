"""A rule: its condition, and how its alerts are presented."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Annotated

import msgspec
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sigma.rule import SigmaRule, SigmaRuleBase

from detections import sources
from detections.logsource import holds
from detections.sigma.evaluation import evaluate, evidence
from detections.sigma.expression import Expression, tests
from detections.sigma.view import Scalar, View
from wardwatch.alert import Severity
from wardwatch.event import LogSource

PLACEHOLDER = re.compile(r"\{([\w@][\w@.-]*)\}")
_WINDOW = re.compile(r"([1-9][0-9]{0,4})([smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_MAX_WINDOW_S = 7 * 86_400


def _seconds(value: object) -> int:
    found = _WINDOW.fullmatch(value) if isinstance(value, str) else None
    seconds = int(found[1]) * _SECONDS[found[2]] if found else 0
    if not 60 <= seconds <= _MAX_WINDOW_S:
        raise ValueError("from 60s to 7d, such as 90m or 1h")
    return seconds


class Text(BaseModel):
    """A text in the console's languages; ``{field}`` stands for a value of the event."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    en: str = Field("", max_length=1000)
    zh: str = Field("", max_length=1000)


class Presentation(BaseModel):
    """The ``wardwatch:`` block of a rule: which matches are one alert, and what people read.

    ``group_by`` names fields whose values tell alerts apart; ``window`` is a duration (None: the alerter's setting).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    group_by: tuple[str, ...] = Field(("host.name",), max_length=8)
    window: Annotated[int, BeforeValidator(_seconds)] | None = None
    title: Text = Text()
    reason: Text = Text()
    response: Text = Text()


class Related(msgspec.Struct, frozen=True):
    """Another rule, by its Sigma id, and what it is to this one: derived, obsolete, merged, renamed, similar."""

    id: str
    type: str


class RuleCard(msgspec.Struct, frozen=True):
    """What an alert says of its rule; it travels with every match, so that the alerter needs no rules.

    ``id`` is the Sigma id, ``slug`` the word that people use: the Sigma ``name``, else the name of the file.
    """

    id: str
    slug: str
    version: str
    name: str
    description: str
    status: str
    author: str
    license: str
    references: list[str]
    false_positives: list[str]
    tags: list[str]
    ruleset: str
    severity: Severity
    window_s: int | None
    title: dict[str, str]
    response: dict[str, str]
    related: list[Related] = []  # msgspec copies it; a match written before the field was known has none


def card(sigma: SigmaRuleBase, own: Presentation, version: str, file: Path) -> RuleCard:
    """Return what the alerts of a rule say of it."""
    title = str(sigma.title)
    related = sigma.related.related if sigma.related else []
    return RuleCard(
        id=str(sigma.id),
        slug=(sigma.name or file.stem)[:100],
        version=version,
        name=title,
        description=(sigma.description or "")[:2000],
        status=sigma.status.name.lower() if sigma.status else "",
        author=sigma.author or "",
        license=sigma.license or "",
        references=[str(reference)[:500] for reference in sigma.references][:10],
        false_positives=[str(known)[:500] for known in sigma.falsepositives][:10],
        tags=[str(tag) for tag in sigma.tags][:30],
        ruleset=file.parent.name,
        severity=Severity(sigma.level.name.lower()) if sigma.level else Severity.MEDIUM,
        window_s=own.window,
        title={"en": own.title.en or title, "zh": own.title.zh or title},
        response={"en": own.response.en, "zh": own.response.zh},
        related=[Related(str(each.id), each.type.name.lower()) for each in related][:30],
    )


def revised(version: str, *parts: str | bytes) -> str:
    """Return the version of a rule to which something was added: the same day, another hash."""
    day, _, own = version.rpartition("-")
    data = b"\0".join(part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part for part in parts)
    digest = blake2b(own.encode() + b"\0" + data, digest_size=4).hexdigest()
    return f"{day}-{digest}" if day else digest


@dataclass(frozen=True, slots=True)
class RuleText:
    """The text of a rule file or of a row of the table ``rules``; "" holds for every tenant."""

    file: Path
    text: str
    tenant: str = ""


@dataclass(frozen=True)
class Rule:
    """One loaded rule; ``text`` is the YAML document it was written as, ``condition`` includes the filters on it.

    ``name`` is the Sigma name by which correlations may refer to it.
    """

    file: Path
    line: int
    tenant: str
    logsource: LogSource
    presentation: Presentation
    card: RuleCard
    condition: Expression
    text: str
    name: str = ""

    @property
    def id(self) -> str:
        """The Sigma id."""
        return self.card.id

    @property
    def version(self) -> str:
        """The rule's date and a hash of all that it means: its text, its condition on events, the filters on it."""
        return self.card.version

    @property
    def title(self) -> str:
        """The rule's title."""
        return self.card.name

    @property
    def severity(self) -> Severity:
        """The rule's level."""
        return self.card.severity

    @cached_property
    def sigma(self) -> SigmaRule:
        """The rule as pySigma reads it; parsed when first asked for."""
        return SigmaRule.from_dict(yaml.load(self.text, yaml.CSafeLoader))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields of the event that a match needs: its group's and those its texts mention."""
        reason = self.presentation.reason
        return frozenset(self.presentation.group_by) | set(PLACEHOLDER.findall(reason.en + reason.zh))

    @cached_property
    def written(self) -> tuple[str, ...] | None:
        """The fields as the rule names them, None where it has others beside those that it tests."""
        found = list(tests(self.condition))
        if any(test.op.endswith("_field") for test in found):
            return None
        return tuple(sorted({test.written.partition("|")[0] for test in found}))

    @cached_property
    def no_data(self) -> str:
        """Why no parser's events can meet it, "" where some may."""
        return sources.no_data(self.logsource, self.condition)

    def concerns(self, source: LogSource) -> bool:
        """Tell whether each of product, category and service is unnamed in the rule or the event's own.

        A category is also the one that takes it in (docs/decisions/0004-log-source.md).
        """
        return holds(self.logsource, source)

    def applies(self, view: View) -> bool:
        """Tell whether the event meets the rule and every filter on it."""
        return evaluate(self.condition, view)

    def matched(self, view: View) -> dict[str, list[Scalar]]:
        """Return the fields and values of the event that speak for the match."""
        return evidence(self.condition, view)


@dataclass(frozen=True, slots=True)
class Match:
    """One rule met by one event, with the values that met it."""

    rule: Rule
    matched: dict[str, list[Scalar]]
