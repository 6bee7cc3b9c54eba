"""Times are told as median and 90th percentile, never as a mean."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from statistics import median, quantiles

from pydantic import BaseModel


class Spread(BaseModel):
    """Seconds of so many: median and 90th percentile, null where there is none."""

    alerts: int
    median_s: float | None
    p90_s: float | None


def spread(lengths: Iterable[timedelta]) -> Spread:
    """Return median and 90th percentile (linear between neighbours) of durations."""
    seconds = [max(0.0, each.total_seconds()) for each in lengths]
    if not seconds:
        return Spread(alerts=0, median_s=None, p90_s=None)
    p90 = quantiles(seconds, n=10, method="inclusive")[-1] if len(seconds) > 1 else seconds[0]
    return Spread(alerts=len(seconds), median_s=median(seconds), p90_s=p90)
