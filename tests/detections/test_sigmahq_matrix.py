"""SigmaHQ's regression events against all of SigmaHQ's rules: which fires where, as the oracle says.

The whole matrix takes minutes: ``WARDWATCH_WHOLE_MATRIX=1 pytest tests/detections/test_sigmahq_matrix.py``; else each
event meets every twentieth candidate rule, another twentieth each time.
"""

from __future__ import annotations

import os
from pathlib import Path

from detections.sigma import Ruleset
from ingest.parsers import Record, Site, parser
from tests.detections import oracle
from wardwatch.event import Event

STEP = 1 if os.environ.get("WARDWATCH_WHOLE_MATRIX") else 20


def events(regression: Path, suffix: str) -> list[Event]:
    windows = parser("windows")
    return [
        Event({"event.id": f"{file.name}-{number}", **found.doc}, "hospital_a", "windows", found.logsource)
        for file in sorted(regression.rglob(f"*.{suffix}"))
        for number, raw in enumerate(windows.split(file.read_bytes()))
        for found in windows.parse(Record(raw), Site())
    ]


def test_json_and_evtx_of_an_event_fire_the_same_rules(sigmahq: Ruleset, regression: Path) -> None:
    def fired(suffix: str) -> list[list[str]]:
        found = ([match.rule.id for match in sigmahq.match(event)] for event in events(regression, suffix))
        return sorted(sorted(ids) for ids in found)

    assert fired("evtx") == fired("json")


def test_rules_fire_on_each_others_events_where_the_oracle_says(sigmahq: Ruleset, regression: Path) -> None:
    answered = 0
    for number, event in enumerate(events(regression, "json")):
        fired = {match.rule.id for match in sigmahq.match(event)}
        for rule in list(sigmahq.candidates(event.logsource))[number % STEP :: STEP]:
            assert (rule.id in fired) is oracle.matches(rule.sigma, event.doc), (rule.file.name, event.id)
            answered += 1
    assert answered > 5000
