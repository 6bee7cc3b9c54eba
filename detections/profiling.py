"""What each rule costs in the matcher: its condition timed on every event for which it is a candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from time import perf_counter_ns

from detections.archive import Archive, Span
from detections.sigma import Rule, Ruleset
from detections.sigma.expression import fields
from detections.sigma.program import Answer, Program
from wardwatch.event import Event, encode


@dataclass
class Cost:
    """One rule: the time of its condition, on how many events it was evaluated, and how many of those matched.

    ``misses`` counts the values of the fields it reads that had to be scanned, where a log source's rules are found by
    fields and not by the record's bytes; rules with the same fields share them.
    """

    rule: Rule
    time_ns: int = 0
    candidates: int = 0
    matches: int = 0
    misses: int = 0


class Profile:
    """Matches as the matcher does, and keeps what each rule cost; times are nanoseconds."""

    def __init__(self, rules: Ruleset) -> None:
        self.events = 0
        self.time_ns = 0
        self._rules = rules
        self._programs: dict[int, Program] = {}
        self._costs = {id(rule): Cost(rule) for rule in rules.rules}

    def match(self, event: Event, zone: tzinfo) -> Sequence[Rule]:
        """Return the rules that an event meets, found as the matcher finds them."""
        program = self._rules.program(event.logsource)
        if id(program) not in self._programs:
            self._programs[id(program)] = program
            program.observe(self._timed)
        raw = encode(event.doc)
        began = perf_counter_ns()
        candidates = program.candidates(raw)
        found = program.match(event.doc, zone, candidates) if candidates.places != () else ()
        self.time_ns += perf_counter_ns() - began
        self.events += 1
        return found

    def match_archived(self, archive: Archive, tenants: Sequence[str], span: Span, most: int) -> None:
        """Match a sample of what is archived, of each tenant an equal part of ``most`` events."""
        for tenant in tenants:
            zone = archive.tenants.zone(tenant)
            for event in archive.sample(tenant, span, most // len(tenants)):
                self.match(event, zone)

    def share(self, cost: Cost) -> float:
        """Return the part of all matching time that a rule's condition took, 0 to 1."""
        return cost.time_ns / (self.time_ns or 1)

    def costs(self) -> list[Cost]:
        """Return every rule's cost, the dearest first."""
        for cost in self._costs.values():
            cost.misses = sum(self._misses(cost.rule))
        return sorted(self._costs.values(), key=lambda cost: (-cost.time_ns, -cost.candidates, cost.rule.title))

    def field_misses(self) -> Counter[str]:
        """Return for each field how many of its values were scanned rather than remembered."""
        counted = Counter[str]()
        for program in self._programs.values():
            counted.update(program.by_fields.misses())
        return counted

    def _misses(self, rule: Rule) -> Iterator[int]:
        for program in self._programs.values():
            if rule in program.rules:
                misses = program.by_fields.misses()
                yield from (misses.get(field, 0) for field in fields(rule.condition))

    def _timed(self, rule: Rule, condition: Answer) -> Answer:
        cost = self._costs[id(rule)]

        def timed(*asked: object) -> bool:
            began = perf_counter_ns()
            held = condition(*asked)
            cost.time_ns += perf_counter_ns() - began
            cost.candidates += 1
            cost.matches += held
            return held

        return timed
