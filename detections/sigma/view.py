"""An event as rules read it: fields resolved once, texts folded once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import tzinfo
from functools import cached_property, lru_cache

from enrich.context import is_added
from wardwatch.event import Document

Scalar = str | int | float | bool | None


_LATER = {"\u1fd3": "\u0390", "\u1fe3": "\u03b0", "\ufb05": "\ufb06"}
"""Simple foldings that Unicode has since 15.1, after Python 3.11 (CaseFolding.txt)."""


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    folded = character.casefold()
    if len(folded) == 1:
        return folded
    lowered = _LATER.get(character) or character.lower()
    return lowered if len(lowered) == 1 else character


def fold(text: str) -> str:
    """Return the text without case, of the same length: Unicode simple case folding (Unicode 5.18), ``?`` counts it."""
    return text.lower() if text.isascii() else "".join(map(_fold_character, text))


class Cell:
    """One scalar value of an event with the name of its field."""

    def __init__(self, field: str, raw: Scalar) -> None:
        self.field = field
        self.raw = raw

    @cached_property
    def text(self) -> str:
        """The value as JSON writes it, without quotes."""
        if isinstance(self.raw, str):
            return self.raw
        if isinstance(self.raw, bool):
            return "true" if self.raw else "false"
        return "" if self.raw is None else str(self.raw)

    @cached_property
    def folded(self) -> str:
        """The text without case."""
        return fold(self.text)


class View:
    """Reads the fields of one event; ``zone`` is the tenant's, for rules that ask for the hour."""

    def __init__(self, doc: Document, zone: tzinfo) -> None:
        self.doc = doc
        self.zone = zone
        self._cells: dict[str, tuple[Cell, ...] | None] = {}
        self._folded: dict[str, tuple[str, ...]] = {}

    def cells(self, field: str) -> tuple[Cell, ...] | None:
        """Return the scalar values of a field, None where the event has no such field.

        The literal key comes first, then the path, fanning out over lists of objects.
        """
        if field not in self._cells:
            found = list(_resolve(self.doc, field))
            self._cells[field] = (
                tuple(Cell(field, raw) for value in found for _, raw in _scalars(field, value)) if found else None
            )
        return self._cells[field]

    def texts(self, field: str) -> tuple[str, ...]:
        """Return the values of a field, but for null, as texts."""
        return tuple(cell.text for cell in self.cells(field) or () if cell.raw is not None)

    def folded(self, field: str) -> tuple[str, ...]:
        """Return the values of a field, but for null, as texts without case."""
        found = self._folded.get(field)
        if found is None:
            value = self.doc.get(field)
            texts = (value,) if isinstance(value, str) else self.texts(field)
            found = self._folded[field] = tuple(map(fold, texts))
        return found

    @cached_property
    def everything(self) -> tuple[Cell, ...]:
        """All scalar values of the event as its source told it, without what enrichment adds."""
        told = (item for item in self.doc.items() if not is_added(item[0]))
        return tuple(Cell(name, raw) for field, value in told for name, raw in _scalars(field, value))


def _resolve(node: object, field: str) -> Iterator[object]:
    if isinstance(node, list):
        for item in node:
            yield from _resolve(item, field)
    elif isinstance(node, dict):
        if field in node:
            yield node[field]
            return
        cut = field.rfind(".")
        while cut > 0:
            if (head := field[:cut]) in node:
                yield from _resolve(node[head], field[cut + 1 :])
                return
            cut = field.rfind(".", 0, cut)


def _scalars(name: str, value: object) -> Iterator[tuple[str, Scalar]]:
    if isinstance(value, list):
        for item in value:
            yield from _scalars(name, item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _scalars(f"{name}.{key}", item)
    elif value is None or isinstance(value, str | int | float):
        yield name, value
