"""Placeholders (``|expand``, ``%name%``) and the lookup tables that fill them, by pySigma's own transformation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

from sigma.processing.pipeline import ProcessingItem, ProcessingPipeline
from sigma.processing.transformations import ValueListPlaceholderTransformation
from sigma.rule import SigmaDetections
from sigma.types import Placeholder, SigmaCasedString, SigmaRegularExpression, SigmaString, SigmaType

from detections.sigma import documents
from wardwatch.errors import RuleError, SettingsError

Placeholders = Mapping[str, Sequence[str | int | float]]
"""Name → values; ``*`` and ``?`` in a value are wildcards, as they are in a rule."""

MAX_VALUES = 20_000
"""Values that those of a rule may become."""


def read(path: Path) -> Placeholders:
    """Read lookup tables from a YAML file, ``name: [value, …]``; raises SettingsError."""
    try:
        found = documents.read(path)
        return table(found[0].value if found else {})
    except RuleError as error:
        raise SettingsError(f"placeholders {path}: {error.reason}", remedy="write name: [value, ...]") from None


def table(value: object) -> Placeholders:
    """Return lookup tables from plain data; raises RuleError naming the entry that is none."""
    if not isinstance(value, dict):
        raise RuleError("lookup tables are a mapping of names to lists of values", step="placeholders")
    for name, values in value.items():
        if not isinstance(values, list) or not all(type(each) in (str, int, float) for each in values):
            raise RuleError(f"'{name}' is no list of texts and numbers", step="placeholders")
    return value


class _Lookup(ValueListPlaceholderTransformation):
    """pySigma's transformation, bounded, and a cased value stays cased."""

    def __init__(self, placeholders: Placeholders) -> None:
        self.sizes = {name: len(values) for name, values in placeholders.items() if values}
        self.total = 0
        super().__init__(include=list(self.sizes))

    def apply_value(
        self, field: str | None, val: SigmaType
    ) -> SigmaString | Iterable[SigmaString] | SigmaRegularExpression | Iterable[SigmaRegularExpression] | None:
        self.total += prod(self.sizes.get(name, 1) for name in _names(val))
        if self.total > MAX_VALUES:
            raise RuleError(f"placeholders that make more than {MAX_VALUES} values", step="rules")
        filled = super().apply_value(field, val)
        if isinstance(val, SigmaCasedString) and isinstance(filled, list):
            return [SigmaCasedString.from_sigma_string(each) for each in filled]
        return filled


def _names(value: SigmaType) -> Iterator[str]:
    text = value.regexp if isinstance(value, SigmaRegularExpression) else value
    if isinstance(text, SigmaString):
        yield from (part.name for part in text.s if isinstance(part, Placeholder))


def fill(detections: SigmaDetections, placeholders: Placeholders) -> None:
    """Put values in the place of the names that have some; the others stay, and their rule is refused by that name."""
    lookup = _Lookup(placeholders)
    ProcessingPipeline([ProcessingItem(lookup)], vars=dict(placeholders))
    for detection in detections.detections.values():
        lookup.apply_detection(detection)
