"""Processing pipelines: the names of rules' fields → the fields of our events, in pySigma's own YAML format.

pySigma is the authority. Most of its steps only rename fields by log source; those are asked once per log source and
name and remembered. A rule that any other step may concern goes through pySigma whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache, partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

from sigma.exceptions import SigmaError
from sigma.processing.conditions import ExcludeFieldCondition, IncludeFieldCondition, LogsourceCondition
from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import (
    AddFieldnamePrefixTransformation,
    AddFieldnameSuffixTransformation,
    FieldMappingTransformation,
    FieldPrefixMappingTransformation,
)
from sigma.rule import SigmaDetection, SigmaDetectionItem, SigmaDetections, SigmaLogSource, SigmaRule
from sigma.types import SigmaString

from detections.sigma import documents
from detections.sigma.condition import Rename
from wardwatch.errors import RuleError
from wardwatch.event import LogSource

FOLDER = Path(__file__).parent.parent / "pipelines"
"""The pipelines that ship with wardwatch."""

_RENAMING = (
    FieldMappingTransformation,
    FieldPrefixMappingTransformation,
    AddFieldnamePrefixTransformation,
    AddFieldnameSuffixTransformation,
)
_OUTSIDE = frozenset({"file_placeholders", "http_placeholders", "command_placeholders"})
_WRONG = (SigmaError, TypeError, ValueError, AttributeError, KeyError)


@dataclass(frozen=True, slots=True)
class PipelineText:
    """The text of a pipeline's file or row."""

    file: Path
    text: str


class Pipelines:
    """Pipelines as one, in order of their priorities; raises RuleError as ``parse`` does."""

    def __init__(self, texts: Iterable[PipelineText] = ()) -> None:
        self.texts = tuple(texts)
        ordered = sorted(map(parse, self.texts), key=lambda pipeline: pipeline.priority)
        self.whole: ProcessingPipeline = sum(ordered, ProcessingPipeline())
        # before it is applied, which it keeps a record of
        self._described = f"Pipelines({blake2b(repr(self.whole).encode(), digest_size=16).hexdigest()})"
        self._others = [item for item in self.whole.items if not _only_renames(item)]
        self.names = cache(self._names)
        self.only_rename = cache(self._only_rename)

    def __repr__(self) -> str:
        return self._described

    def _only_rename(self, source: LogSource) -> bool:
        rule = _probe("any", source)
        return not any(_may_concern(item, rule) for item in self._others)

    def rename(self, source: LogSource) -> Rename:
        """Return the names of the event's fields for those of rules on a log source."""
        return partial(self.names, source)

    def _names(self, source: LogSource, name: str) -> tuple[str, ...]:
        rule = _probe(name, source)
        try:
            self.whole.apply(rule)
        except SigmaError:  # a step that refuses some rules: it says so where it meets them
            return (name,)
        return tuple(_fields(rule.detection.detections["selection"]))


def parse(source: PipelineText) -> ProcessingPipeline:
    """Return a pipeline; raises RuleError naming the file.

    Steps that would read a file, call the network or start a program, and those that work on queries, are refused.
    """
    try:
        (document,) = documents.split(source.text, source.file)
        _check(document.value, source.file)
        return ProcessingPipeline.from_dict(document.value)
    except RuleError:
        raise
    except _WRONG as error:
        raise RuleError(f"not a processing pipeline: {error}", step="pipelines", record=str(source.file)) from None


def read(paths: Iterable[Path]) -> Iterator[PipelineText]:
    """Yield the texts in files and folders, in order of their names; raises RuleError naming the file."""
    for path in paths:
        for file in sorted(path.glob("*.yml")) if path.is_dir() else [path]:
            yield PipelineText(file, documents.text(file))


@lru_cache(maxsize=4)
def combined(texts: tuple[PipelineText, ...]) -> Pipelines:
    """Return the pipelines as one, with what it has found out about names before; raises RuleError."""
    return Pipelines(texts)


@cache
def shipped() -> Pipelines:
    """Return the pipelines that ship with wardwatch."""
    return combined(tuple(read([FOLDER])))


def _check(node: Any, file: Path) -> None:
    if isinstance(node, dict):
        if node.get("type") in _OUTSIDE or node.keys() & {"postprocessing", "finalizers"}:
            what = node.get("type") or "postprocessing"
            raise RuleError(
                f"a step '{what}' has no place in a pipeline for events", step="pipelines", record=str(file)
            )
        node = list(node.values())
    for item in node if isinstance(node, list) else ():
        _check(item, file)


def _only_renames(item: ProcessingItem) -> bool:
    conditions = [*_listed(item.rule_conditions), *_listed(item.field_name_conditions)]
    known = (LogsourceCondition, IncludeFieldCondition, ExcludeFieldCondition)
    mapping = getattr(item.transformation, "mapping", {})
    return (
        type(item.transformation) in _RENAMING
        and not item.detection_item_conditions
        and all(type(condition) in known for condition in conditions)
        and None not in mapping
    )


def _listed(conditions: list[Any] | dict[str, Any]) -> list[Any]:
    return list(conditions.values()) if isinstance(conditions, dict) else conditions


def _may_concern(item: ProcessingItem, rule: SigmaRule) -> bool:
    """Tell whether a step may concern rules of the probe's log source: those on log sources are what can be told."""
    conditions = item.rule_conditions
    if isinstance(conditions, dict) or item.rule_condition_negation or item.rule_condition_linking is any:
        return True
    return all(each.match(rule) for each in conditions if isinstance(each, LogsourceCondition))


def _probe(name: str, source: LogSource) -> SigmaRule:
    item = SigmaDetectionItem(name, [], [SigmaString("x")])
    named = SigmaLogSource(source.category or None, source.product or None, source.service or None)
    detections = SigmaDetections({"selection": SigmaDetection([item])}, ["selection"])
    return SigmaRule("probe", logsource=named, detection=detections)


def _fields(node: SigmaDetection | SigmaDetectionItem) -> Iterator[str]:
    if isinstance(node, SigmaDetectionItem):
        yield node.field or ""
    else:
        for item in node.detection_items:
            yield from _fields(item)
