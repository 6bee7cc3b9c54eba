"""One measured figure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A value, what it was compared with in the same run, their ratio, and the target the ratio or value must reach."""

    name: str
    value: float
    unit: str
    compared_with: str
    ratio: float
    target: str
