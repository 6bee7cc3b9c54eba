"""Sigma: rules parsed by pySigma, compiled and evaluated here."""

from detections.sigma.loading import Rejected
from detections.sigma.rule import Match, Rule, RuleText
from detections.sigma.ruleset import PACK, Ruleset

__all__ = ["PACK", "Match", "Rejected", "Rule", "RuleText", "Ruleset"]
