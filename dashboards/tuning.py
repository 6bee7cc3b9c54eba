"""What is to be mended: rules whose logic was at fault, and sources whose data was.

A false positive says at close which of the two it was (docs/analyst/tuning.md).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial

from pydantic import BaseModel

from dashboards.present import dig, shown
from dashboards.workflow import workflow_of
from wardwatch.alert import AlertDocument, Status, Verdict, parse_alert_id
from wardwatch.store import AlertQuery, Scope, Store

SINCE = timedelta(days=90)
NEWEST = 1000
"""So many newest false positives are read for their notes."""
_NOTES = 3
_RULES = 100


class RuleRecord(BaseModel):
    """One rule in 90 days: its alerts by verdict, those that a suppression hid, and the newest notes of its faults."""

    rule: str
    alerts: int
    suppressed: int
    verdicts: dict[Verdict, int]
    notes: list[str]

    @property
    def others(self) -> int:
        """How many were closed as duplicates, as parts of an exercise or undetermined."""
        return sum(self.verdicts.get(each, 0) for each in (Verdict.DUPLICATE, Verdict.EXERCISE, Verdict.UNDETERMINED))

    def share(self, verdict: Verdict) -> float:
        """Return a verdict's share of the alerts that have one, 0 to 1."""
        return self.verdicts.get(verdict, 0) / max(1, sum(self.verdicts.values()))


class SourceRecord(BaseModel):
    """One log source of a hospital: how many of the newest false positives were faults of its data, and their notes."""

    tenant: str
    source: str
    faults: int
    notes: list[str]


def rules(store: Store, scope: Scope, tenant: str = "") -> list[RuleRecord]:
    """Return the rules that raised alerts, most faults of logic first, then most alerts; at most a hundred."""
    asked = _asked(tenant)
    alerts = store.alerts.count(scope, asked(), "rule")
    suppressed = store.alerts.count(scope, asked(statuses=frozenset([Status.SUPPRESSED])), "rule")
    verdicts = {each: store.alerts.count(scope, asked(verdicts=frozenset([each])), "rule") for each in Verdict}
    notes = _notes(store, scope, tenant, Verdict.FALSE_POSITIVE_LOGIC)
    found = [
        RuleRecord(
            rule=rule,
            alerts=total,
            suppressed=suppressed.get(rule, 0),
            verdicts={each: counts[rule] for each, counts in verdicts.items() if rule in counts},
            notes=_newest(notes[rule]),
        )
        for rule, total in alerts.items()
    ]
    found.sort(key=lambda each: (-each.verdicts.get(Verdict.FALSE_POSITIVE_LOGIC, 0), -each.alerts, each.rule))
    return found[:_RULES]


def sources(store: Store, scope: Scope, tenant: str = "") -> list[SourceRecord]:
    """Return the sources with faults of data, most of them first."""
    found: dict[tuple[str, str], list[AlertDocument]] = defaultdict(list)
    for doc in _closed(store, scope, tenant, Verdict.FALSE_POSITIVE_DATA):
        found[parse_alert_id(doc["event"]["id"])[0], shown(dig(doc, "event.dataset"), 80) or "—"].append(doc)
    records = [
        SourceRecord(tenant=owner, source=source, faults=len(docs), notes=_newest([_note(doc) for doc in docs]))
        for (owner, source), docs in found.items()
    ]
    return sorted(records, key=lambda each: (-each.faults, each.tenant, each.source))


def _notes(store: Store, scope: Scope, tenant: str, verdict: Verdict) -> dict[str, list[str]]:
    notes: dict[str, list[str]] = defaultdict(list)
    for doc in _closed(store, scope, tenant, verdict):
        notes[str(dig(doc, "rule.id"))].append(_note(doc))
    return notes


def _closed(store: Store, scope: Scope, tenant: str, verdict: Verdict) -> list[AlertDocument]:
    query = _asked(tenant)(verdicts=frozenset([verdict]))
    return [item.doc for item in store.alerts.search(scope, query, limit=NEWEST).items]


def _note(doc: AlertDocument) -> str:
    return shown(workflow_of(doc).get("reason"))


def _newest(notes: list[str]) -> list[str]:
    return [note for note in dict.fromkeys(notes) if note][:_NOTES]


def _asked(tenant: str) -> Callable[..., AlertQuery]:
    """Return a query of the last 90 days that takes further conditions."""
    tenants = frozenset(filter(None, [tenant]))
    return partial(AlertQuery, tenants=tenants, created_from=datetime.now(UTC) - SINCE)
