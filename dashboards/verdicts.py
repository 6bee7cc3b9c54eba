"""What became of a rule's alerts: the share of each verdict, to see at close what others found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dashboards.auth.people import Person
from wardwatch.alert import Verdict
from wardwatch.store import AlertQuery, Store

SINCE = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Share:
    """One verdict: how many alerts have it, and their share of all that have one, 0 to 1."""

    verdict: Verdict
    count: int
    share: float


def of_rule(store: Store, person: Person, rule: str) -> list[Share]:
    """Return the verdicts on a rule's alerts of the last 90 days in the person's hospitals, most frequent first."""
    query = AlertQuery(rules=frozenset([rule]), verdicts=frozenset(Verdict), created_from=datetime.now(UTC) - SINCE)
    counts = store.alerts.count(person.scope, query, "verdict")
    total = sum(counts.values())
    found = [Share(Verdict(name), count, count / total) for name, count in counts.items()]
    return sorted(found, key=lambda each: (-each.count, each.verdict))
