"""Rules written in a line or two, and events to meet them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from detections.sigma import Ruleset
from wardwatch.event import Event, LogSource

TEST = LogSource("test")
RULE_ID = "6f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b11"


def rule_document(detection: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Return a whole rule around a detection; one without condition is a single selection."""
    named = detection if "condition" in detection else {"selection": detection, "condition": "selection"}
    return {"title": "A rule", "id": RULE_ID, "logsource": {"product": "test"}, "detection": dict(named), **more}


def load(folder: Path, *documents: object) -> Ruleset:
    """Write each document into a file of its own and load them all."""
    for number, document in enumerate(documents):
        text = document if isinstance(document, str) else yaml.safe_dump(document, allow_unicode=True, sort_keys=False)
        (folder / f"rule{number}.yml").write_text(text, "utf-8")
    return Ruleset.load([folder])


def event(doc: Mapping[str, Any], source: LogSource = TEST) -> Event:
    """Return an event around some fields."""
    whole = {"event.id": "e1", "@timestamp": "2026-03-01T02:11:09.000Z", **doc}
    return Event(whole, "hospital_a", "test", source)
