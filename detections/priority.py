"""Priority of an alert, 0 to 100, each term in sight (docs/decisions/0003-alert-fold.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from wardwatch.alert import PRIORITY_LEVELS, Severity
from wardwatch.event import Document

WEIGHTS = {"severity": 35, "criticality": 25, "data": 15, "exposure": 10, "confidence": 10, "spread": 5}
CRITICALITY = {"life_support": 1.0, "his_core": 0.9, "therapy": 0.8, "diagnostic": 0.6, "office": 0.2}
SIDES = ("source", "destination", "host")

_SEVERITY = {"informational": 0.1, "low": 0.25, "medium": 0.5, "high": 0.75, "critical": 1.0}
_CONFIDENCE = {"stable": 1.0, "test": 0.7, "experimental": 0.4}
_DATA_LEVELS = 5  # GB/T 39725: level 5 is the most sensitive


def terms(severity: Severity, status: str, fields: Document) -> dict[str, float]:
    """Return what one match says of each term, from 0 to 1; ``floor`` is 1 where P2 is the least."""
    criticality = asset_criticality(fields)
    vip = fields.get("hospital.patient.vip") is True
    return {
        "severity": _SEVERITY[severity.value],
        "criticality": CRITICALITY.get(criticality, 0.0),
        "data": (5 if vip else 4 if "hospital.patient.id_token" in fields else 0) / _DATA_LEVELS,
        "exposure": float(_is_public(fields.get("source.ip")) or _is_public(fields.get("destination.ip"))),
        "confidence": _CONFIDENCE.get(status, 0.5),
        "floor": float(vip or criticality == "life_support"),
    }


def asset_criticality(fields: Document) -> str:
    """Return the highest criticality among the assets of an event, "" where none is known."""
    found = [str(fields.get(f"{side}.asset.criticality", "")) for side in SIDES]
    return max(found, key=lambda name: CRITICALITY.get(name, 0.0))


def spread(hosts: int) -> float:
    """Return the term of the number of hosts: five or more are 1."""
    return min(hosts, 5) / 5


def reasons(values: Mapping[str, float]) -> list[dict[str, Any]]:
    """Return each term with its value and points; their sum is the priority."""
    points = {term: round(weight * values.get(term, 0.0), 2) for term, weight in WEIGHTS.items()}
    missing = round(PRIORITY_LEVELS["P2"] - sum(points.values()), 2)
    points["floor"] = max(missing, 0.0) if values.get("floor") else 0.0
    return [{"term": term, "value": values.get(term, 0.0), "points": each} for term, each in points.items()]


def total(found: Iterable[Mapping[str, Any]]) -> int:
    """Return the priority of the terms."""
    return round(sum(float(each["points"]) for each in found))


def _is_public(address: object) -> bool:
    try:
        return isinstance(address, str) and bool(ip_address(address).is_global)
    except ValueError:
        return False
