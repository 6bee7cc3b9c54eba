"""Sigma rules, the matcher that applies them and the alerter that turns matches into alerts."""
