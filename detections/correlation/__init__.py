"""Sigma correlation rules: matches counted, summed or put in order (docs/decisions/0010-correlation.md)."""

import detections.sigma  # noqa: F401  # it needs this package and this one needs it: whoever is imported first, it begins
