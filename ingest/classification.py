"""Classes and levels of health data by GB/T 39725-2020, by a table that a site may replace."""

from __future__ import annotations

from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from wardwatch.errors import ScrubError, SettingsError
from wardwatch.event import Document

HIGHEST = 3  # of what may leave: de-identified, may be re-identified
_LEAST = 2  # no individual identifiable; level 1 is what is published
_IDENTIFYING, _SPECIAL = 4, 5
_SENSITIVITY = "hospital.patient.sensitivity"


class Meaning(msgspec.Struct, forbid_unknown_fields=True, frozen=True, rename={"kind": "class"}):
    """What a field is: its level, 1 to 5, and its class."""

    level: Annotated[int, msgspec.Meta(ge=1, le=5)]
    kind: Literal["personal", "health", "application", "payment", "resources", "public_health"]


class Special(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """The labels that name a special disease."""

    labels: frozenset[str]


class _Content(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    fields: dict[str, Meaning]
    special: Special


class Table:
    """The table of a site; raises SettingsError when its file is wrong."""

    def __init__(self, content: bytes, file: str) -> None:
        try:
            self._content = msgspec.toml.decode(content, type=_Content)
        except msgspec.DecodeError as error:
            remedy = "take the keys of ingest/classification.toml"
            raise SettingsError(str(error), step="classification", record=file, remedy=remedy) from None
        self._judged = lru_cache(maxsize=512)(self._judge)

    def classify(self, doc: Document, names: frozenset[str], *, identified: bool) -> None:
        """Set ``privacy.level``, ``.class`` and ``.record_level`` of a scrubbed document, and generalise its labels.

        ``names`` are the document's; ``identified`` says that the record named a patient: its own level is 4, and 5
        with the label of a special disease. Raises ScrubError for what must not leave.
        """
        level, classes = self._judged(names)
        if level > HIGHEST:
            raise ScrubError(f"level {level} of GB/T 39725 by the table, at most {HIGHEST} leaves", step="scrub")
        labels = doc.get(_SENSITIVITY, [])
        is_special = not self._content.special.labels.isdisjoint(labels)
        if is_special:
            doc[_SENSITIVITY] = sorted({self._general(label) for label in labels})
        doc["privacy.level"] = level
        doc["privacy.record_level"] = _SPECIAL if is_special else _IDENTIFYING if identified else level
        if classes:
            doc["privacy.class"] = list(classes)

    def _general(self, label: str) -> str:
        return "special" if label in self._content.special.labels else label

    def _judge(self, names: frozenset[str]) -> tuple[int, tuple[str, ...]]:
        found = [meaning for name in names if (meaning := self._meaning(name))]
        return max((one.level for one in found), default=_LEAST), tuple(sorted({one.kind for one in found}))

    def _meaning(self, name: str) -> Meaning | None:
        fields = self._content.fields
        if name in fields:
            return fields[name]
        parts = name.split(".")
        above = (".".join(parts[:count]) + "." for count in range(len(parts) - 1, 0, -1))
        return next((fields[one] for one in above if one in fields), None)


def table(path: Path | None = None) -> Table:
    """Return the table of a site's file, or ours; raises SettingsError."""
    if path is None:
        return _shipped()
    try:
        return Table(path.read_bytes(), str(path))
    except OSError as error:
        remedy = "set collector.classification to a file that can be read, or leave it out"
        raise SettingsError(f"{path}: {error.strerror}", step="classification", remedy=remedy) from None


@cache
def _shipped() -> Table:
    return Table(files("ingest").joinpath("classification.toml").read_bytes(), "classification.toml")
