"""Suppression: alerts that people said beforehand they need not see are made as ``suppressed``, never dropped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from detections.control.rows import SuppressionRow
from detections.matches import MatchRecord
from detections.sigma.view import Cell, fold
from wardwatch.alert import Status
from wardwatch.event import rfc3339


def workflow(rows: Mapping[str, SuppressionRow], match: MatchRecord, taken: datetime) -> dict[str, Any] | None:
    """Return the workflow of the suppressed alert that the match opens, None for one that people are to see.

    ``taken`` is when the bus took the match. Of several suppressions that it meets, the first in order of their ids
    counts. The bus's time, and not the clock's, decides about expiry, so that a match that is delivered again gives
    the same alert.
    """
    for identifier, row in sorted(rows.items()):
        if taken < row.expires and meets(row, match):
            why = f"{row.reason} ({row.by}, until {rfc3339(row.expires)})"
            return {"status": Status.SUPPRESSED.value, "suppression_id": identifier, "reason": why}
    return None


def meets(row: SuppressionRow, match: MatchRecord) -> bool:
    """Tell whether the match is the rule's and has every value, of any case, in its field."""
    return row.rule in ("", match.rule.id) and all(
        any(fold(text) == fold(value) for text in _texts(match, name)) for name, value in row.where.items()
    )


def _texts(match: MatchRecord, name: str) -> Iterator[str]:
    if name in match.group:
        yield match.group[name]
    value = match.fields.get(name)
    for each in value if isinstance(value, list) else [value]:
        if each is not None:
            yield Cell(name, each).text
