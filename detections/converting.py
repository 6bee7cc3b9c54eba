"""Rules as queries of Elasticsearch, for hunts in what is archived.

pySigma's backends write the queries; ours are the names of the fields and the condition on the log source. Nothing is
fetched: the backends are told everything here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

import yaml
from sigma.processing.conditions import FieldNameProcessingCondition
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import (
    AddConditionTransformation,
    ConvertTypeTransformation,
    RegexTransformation,
    SetStateTransformation,
)
from sigma.processing.transformations.base import FieldMappingTransformationBase, StringValueTransformation
from sigma.rule import SigmaRule
from sigma.types import SigmaCasedString, SigmaString, SigmaType

from detections import logsource
from detections.correlation.written import Written
from detections.sigma import Rule
from detections.sigma.condition import Rename
from detections.sigma.loading import REFUSED
from detections.sigma.pipelines import shipped
from enrich.context import is_added
from wardwatch.errors import RuleError, SettingsError
from wardwatch.event import LogSource
from wardwatch.store.elasticsearch.templates import is_number

INDEX = "logs-wardwatch.event-*"

BACKENDS = {
    "lucene": "sigma.backends.elasticsearch:LuceneBackend",
    "esql": "sigma.backends.elasticsearch:ESQLBackend",
    "eql": "sigma.backends.elasticsearch:EqlBackend",
}
"""Query language → pySigma's backend."""


_CASED = ("lucene", "esql")
"""Languages that tell upper from lower case in our keyword fields, where Sigma does not."""


_BRACKETS = RegexTransformation("ignore_case_brackets")


@dataclass(frozen=True, slots=True)
class Converted:
    """One rule's queries, or why there are none."""

    rule: Rule | Written
    queries: Sequence[str] = ()
    refused: str = ""


def convert(rules: Sequence[Rule | Written], language: str) -> Iterator[Converted]:
    """Yield each rule's conversion; raises SettingsError where the backends are not installed.

    Correlations are refused: the backends count in fixed spans, not in the window that slides with the events.
    """
    try:
        backend = resolve_name(BACKENDS[language])
    except ImportError:
        raise SettingsError(
            "the query backends are not installed", step="rules convert", remedy="pip install 'wardwatch[rules]'"
        ) from None
    for rule in rules:
        if isinstance(rule, Written):
            below = ", ".join(source.title for source in rule.correlation.sources)
            yield Converted(rule, refused=f"{language} has no window that slides: convert what it refers to ({below})")
            continue
        try:
            yield Converted(rule, _queries(rule, backend, language))
        except NotImplementedError as error:  # raised bare for what a language has no words for
            yield Converted(rule, refused=f"{language} can't express it: {_said(error)}".rstrip(": "))
        except REFUSED as error:
            yield Converted(rule, refused=_said(error))


def _said(error: Exception) -> str:
    return str(error).removesuffix(" (while converting rule None)")


def _queries(rule: Rule, backend: Callable[..., Any], language: str) -> list[str]:
    sigma = SigmaRule.from_dict(yaml.load(rule.text, yaml.CSafeLoader))
    converter = backend(processing_pipeline=_pipeline(rule.logsource, language))
    queries = [str(query) for query in converter.convert_rule(sigma)]
    added = sorted(name for name in set(sigma.fields) | _fields(sigma) if is_added(name))
    if added:
        raise RuleError(f"{', '.join(added)}: the matcher adds this, archived events do not hold it")
    return queries


def _fields(sigma: SigmaRule) -> set[str]:
    pending: list[Any] = list(sigma.detection.detections.values())
    names: set[str] = set()
    while pending:
        item = pending.pop()
        pending += getattr(item, "detection_items", ())
        names |= {item.field} if getattr(item, "field", None) else set()
    return names


def _pipeline(source: LogSource, language: str) -> ProcessingPipeline:
    condition = logsource.condition(source)
    items = [
        ProcessingItem(_Renamed(shipped().rename(source))),
        ProcessingItem(ConvertTypeTransformation("str"), field_name_conditions=[_Keyword()]),
        ProcessingItem(SetStateTransformation("index", INDEX)),
    ]
    if language in _CASED:
        items.append(ProcessingItem(_AnyCase(), field_name_conditions=[_Keyword()]))
    if condition:
        items.append(ProcessingItem(AddConditionTransformation(condition, "log_source")))
    return ProcessingPipeline(name="wardwatch", items=items)


@dataclass
class _Renamed(FieldMappingTransformationBase):
    rename: Rename

    def apply_field_name(self, field: str | None) -> str | list[str] | None:
        if field is None:
            return None
        names = self.rename(field)
        return names[0] if len(names) == 1 else list(names)


class _AnyCase(StringValueTransformation):
    def apply_string_value(self, field: str | None, val: SigmaString) -> SigmaType | None:
        exact = isinstance(val, SigmaCasedString) or str(val).lower() == str(val).upper()
        return None if exact else _BRACKETS.apply_string_value(field, val)


@dataclass
class _Keyword(FieldNameProcessingCondition):
    """The fields that are indexed as keywords: ES|QL compares them with texts only."""

    def match_field_name(self, field: str | None) -> bool:
        return field is not None and not is_number(field)
