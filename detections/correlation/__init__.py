"""Sigma correlation rules: matches counted, summed or put in order (docs/decisions/0010-correlation.md)."""
