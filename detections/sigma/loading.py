"""Rule files to rules: pySigma is the authority on what a rule says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
from pydantic import ValidationError
from sigma.collection import SigmaCollection
from sigma.correlations import SigmaCorrelationRule
from sigma.exceptions import SigmaError
from sigma.filters import SigmaFilter
from sigma.rule import SigmaRule, SigmaRuleBase

from detections import logsource
from detections.correlation.loading import Draft, draft
from detections.sigma import collection, dialect, documents, limits
from detections.sigma.documents import YamlDocument
from detections.sigma.expression import And, Named
from detections.sigma.rule import Presentation, Rule, RuleText, card, revised
from detections.sigma.vocabulary import Vocabulary
from wardwatch.errors import RuleError

# beside its own errors, pySigma raises these for what is not shaped like a rule
REFUSED = (RuleError, SigmaError, AttributeError, IndexError, KeyError, RecursionError, TypeError, ValueError)

_NEAR = {"Identifier": "id:", "Tag": "tags:"}
_QUOTED = re.compile(r"'([^']+)'|(%[^%]+%)")

_ENCODER = msgspec.msgpack.Encoder()

dialect.install()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A rule that is not in force, and why."""

    file: Path
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """One document of a rule file as pySigma understands it."""

    text: RuleText
    document: YamlDocument
    sigma: SigmaRule | SigmaCorrelationRule | SigmaFilter


def files(path: Path) -> list[Path]:
    """Return the rule files of a folder in order of their names, without the tests beside them; or the file itself."""
    if not path.is_dir():
        return [path]
    found = [file for suffix in ("*.yml", "*.yaml") for file in path.rglob(suffix)]
    return sorted(file for file in found if not file.name.endswith((".test.yml", ".test.yaml")))


def read(path: Path) -> RuleText | Rejected:
    """Return the text of a rule file, or why it can't be read."""
    try:
        return RuleText(path, documents.text(path))
    except RuleError as error:
        return _unread(path, error)


def parse(text: RuleText) -> Iterator[Parsed | Rejected]:
    """Yield what each document of a text is."""
    try:
        found = list(collection.expand(documents.split(text.text, text.file)))
    except RuleError as error:
        yield _unread(text.file, error)
        return
    if not found:
        yield Rejected(text.file, 1, "the file holds no rule")
    for document in found:
        try:
            yield Parsed(text, document, _sigma(document))
        except REFUSED as error:
            yield rejected(text.file, document, error)


def _unread(file: Path, error: RuleError) -> Rejected:
    return Rejected(file, int(error.record.rpartition(":")[2]), error.reason)


def _sigma(document: YamlDocument) -> SigmaRule | SigmaCorrelationRule | SigmaFilter:
    if not isinstance(document.value, dict):
        raise RuleError(f"a rule is a mapping, not a {type(document.value).__name__}")
    for name in ("detection", "filter"):
        limits.check(document.value.get(name))
    correlation = document.value.get("correlation")
    if isinstance(correlation, dict) and isinstance(correlation.get("condition"), str):
        limits.check_condition(correlation["condition"])
    if "action" in document.value:
        raise RuleError(f"unknown action '{document.value['action']}': global, reset and repeat are known")
    parsed = SigmaCollection.from_dicts([document.value], collect_filters=True, resolve_references=False)
    return [*parsed.rules, *parsed.filters][0]


def rejected(file: Path, document: YamlDocument, error: Exception) -> Rejected:
    """Return the rejection of a document, at the line that the error speaks of as far as it tells."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        path = ["wardwatch", *map(str, first["loc"])]
        return Rejected(file, document.line_of(f"{path[-1]}:", "wardwatch:"), f"{'.'.join(path)}: {first['msg']}")
    reason = error.reason if isinstance(error, RuleError) else str(error)
    quoted = [a or b for a, b in _QUOTED.findall(reason)]
    if isinstance(error, RuleError):
        return Rejected(file, document.line_of(*quoted, "detection:"), reason)
    if isinstance(error, SigmaError):
        kind = type(error).__name__.removeprefix("Sigma").removesuffix("Error")
        return Rejected(file, document.line_of(_NEAR.get(kind, f"{kind.lower()}:"), *quoted, "detection:"), reason)
    return Rejected(file, document.line, f"not shaped like a Sigma rule: {type(error).__name__}: {error}"[:300])


def compile_rule(parsed: Parsed, sigma: SigmaRule, vocabulary: Vocabulary) -> Rule:
    """Return the rule by itself; raises one of REFUSED."""
    if sigma.id is None:
        raise RuleError("a rule needs an 'id', a UUID: its alerts are told apart by it")
    vocabulary.settle(sigma.detection, parsed.document.whole)
    source = logsource.of_rule(sigma.logsource)
    presentation = Presentation.model_validate(sigma.custom_attributes.get("wardwatch", {}))
    condition = vocabulary.translate(source, sigma.detection, lambda: sigma)
    version = _version(sigma, parsed, _ENCODER.encode(condition))
    return Rule(
        file=parsed.text.file,
        line=parsed.document.line,
        tenant=parsed.text.tenant,
        logsource=source,
        presentation=presentation,
        card=card(sigma, presentation, version, parsed.text.file),
        condition=condition,
        text=parsed.document.whole,
        name=sigma.name or "",
    )


def draft_correlation(parsed: Parsed, sigma: SigmaCorrelationRule) -> Draft:
    """Return a correlation rule by itself; raises one of REFUSED."""
    presentation = Presentation.model_validate(sigma.custom_attributes.get("wardwatch", {}))
    return draft(sigma, _version(sigma, parsed), parsed.text.file, parsed.text.tenant, presentation)


def filtered(rule: Rule, filters: Sequence[tuple[Parsed, SigmaFilter]], vocabulary: Vocabulary) -> Rule:
    """Return the rule with the filters that concern it; raises one of REFUSED."""
    own = [(parsed, sigma) for parsed, sigma in filters if concerns(sigma, rule)]
    if not own:
        return rule
    named = [
        Named(f"filter {each.title}", vocabulary.translate(rule.logsource, each.filter, lambda: rule.sigma))
        for _, each in own
    ]
    version = revised(rule.version, *(each.document.whole for each, _ in own), _ENCODER.encode(named))
    return replace(
        rule, condition=And((rule.condition, *named)), card=msgspec.structs.replace(rule.card, version=version)
    )


def concerns(sigma_filter: SigmaFilter, rule: Rule) -> bool:
    """Tell whether a filter names the rule and its log source (Sigma filters specification 2.1)."""
    wanted, named = logsource.of_rule(sigma_filter.logsource), sigma_filter.filter.rules
    if not all(
        name in ("", own)
        for name, own in (
            (wanted.product, rule.logsource.product),
            (wanted.category, rule.logsource.category),
            (wanted.service, rule.logsource.service),
        )
    ):
        return False
    return isinstance(named, str) or any(each.reference in (rule.id, rule.name) for each in named)


def is_filtered(rule: Rule, sigma_filter: SigmaFilter) -> bool:
    """Tell whether the filter is in force on a loaded rule."""
    items = rule.condition.items if isinstance(rule.condition, And) else ()
    return any(isinstance(item, Named) and item.name == f"filter {sigma_filter.title}" for item in items)


def _version(sigma: SigmaRuleBase, parsed: Parsed, condition: bytes = b"") -> str:
    day = sigma.modified or sigma.date
    return revised(f"{day:%Y-%m-%d}-" if day else "", parsed.document.whole, condition)
