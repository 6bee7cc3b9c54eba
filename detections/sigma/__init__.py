"""Sigma: rules parsed by pySigma, compiled and evaluated here."""

from detections.sigma.loading import Rejected
from detections.sigma.rule import Match, Rule, RuleText
from detections.sigma.ruleset import PACK, Ruleset
from detections.sigma.vocabulary import SHIPPED, Vocabulary

__all__ = ["PACK", "SHIPPED", "Match", "Rejected", "Rule", "RuleText", "Ruleset", "Vocabulary"]
