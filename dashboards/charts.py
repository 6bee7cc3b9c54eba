"""Charts of figures: what static/charts.js draws, as plain values."""

from __future__ import annotations

from math import ceil
from typing import Any

from dashboards.figures import Figures, Report
from dashboards.i18n import word
from dashboards.spread import Spread
from wardwatch.alert import Severity, Verdict

RULES = 12
SHADES = 4
_TONES = {
    Severity.CRITICAL: "critical",
    Severity.HIGH: "high",
    Severity.MEDIUM: "medium",
    Severity.LOW: "low",
    Severity.INFORMATIONAL: "ink-3",
}
_VERDICTS = {
    Verdict.TRUE_POSITIVE: "critical",
    Verdict.BENIGN_POSITIVE: "low",
    Verdict.FALSE_POSITIVE_LOGIC: "high",
    Verdict.FALSE_POSITIVE_DATA: "medium",
    Verdict.DUPLICATE: "accent",
    Verdict.UNDETERMINED: "ink-3",
}
Chart = dict[str, Any]


def charts(found: Report, lang: str) -> dict[str, Chart]:
    """Return the charts by name: alerts and times of each day, verdicts of the rules with most of them.

    Each has ``kind`` (``bar``, stacked, or ``line``), ``names`` of its categories and ``series`` with a value for each;
    times are minutes, null where there is none. ``tone`` is a colour of the theme.
    """
    judged = [(rule, each) for rule, each in found.groups["rule"].items() if each.verdicts][:RULES]
    return {
        "raised": {
            "kind": "bar",
            "names": list(found.daily),
            "series": [
                {
                    "name": word(lang, f"severity.{severity}"),
                    "tone": tone,
                    "values": [day.severities.get(severity, 0) for day in found.daily.values()],
                }
                for severity, tone in _TONES.items()
            ],
        },
        "times": {
            "kind": "line",
            "names": list(found.daily),
            "series": [
                {
                    "name": f"{word(lang, f'figures.{what}')} · {word(lang, f'figures.{statistic}')}",
                    "tone": tone,
                    "dashed": statistic == "p90",
                    "values": [_minutes(getattr(day, what), statistic) for day in found.daily.values()],
                }
                for what, tone in (("acknowledge", "accent"), ("decide", "high"))
                for statistic in ("median", "p90")
            ],
        },
        "verdicts": {
            "kind": "bar",
            "flat": True,
            "names": [rule for rule, _ in judged],
            "series": [_mix(judged, verdict, tone, lang) for verdict, tone in _VERDICTS.items()],
        },
    }


def shades(hours: list[list[int]]) -> list[list[tuple[int, int]]]:
    """Return each hour's alerts with a shade from 0, none, to SHADES, the most of the week."""
    most = max(max(day) for day in hours) or 1
    return [[(n, ceil(n * SHADES / most)) for n in day] for day in hours]


def _mix(judged: list[tuple[str, Figures]], verdict: Verdict, tone: str, lang: str) -> dict[str, Any]:
    counts = [each.verdicts.get(verdict, 0) for _, each in judged]
    return {"name": word(lang, f"verdict.{verdict}"), "tone": tone, "values": counts}


def _minutes(spread: Spread, statistic: str) -> float | None:
    seconds = spread.median_s if statistic == "median" else spread.p90_s
    return None if seconds is None else round(seconds / 60, 1)
