"""The log source of a bare document."""

from __future__ import annotations

from typing import Any

import pytest

from detections.logsource import FIELDS, of_document
from ingest.catalogue import events
from ingest.parsers import PARSERS, parser
from wardwatch.event import LogSource


class _Watched(dict[str, Any]):
    def __init__(self, doc: dict[str, Any]) -> None:
        super().__init__(doc)
        self.read: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        return super().get(name, default)


@pytest.mark.parametrize("channel", ["Security", "Microsoft-Windows-Sysmon/Operational", "Windows PowerShell", None])
@pytest.mark.parametrize("event_id", [1, 12, 4688, "1", None])
def test_it_is_told_by_the_fields_that_are_named_so(channel: str | None, event_id: object) -> None:
    doc = {"event.dataset": "linux.sshd", "winlog.channel": channel, "winlog.event_id": event_id}
    watched = _Watched({name: value for name, value in doc.items() if value is not None})
    of_document(watched)
    assert watched.read <= set(FIELDS)


@pytest.mark.parametrize("name", PARSERS)
def test_it_is_what_the_parser_says_or_nothing(name: str) -> None:
    source = parser(name)
    for each in events(source, source.sample()):
        assert of_document(each.doc) in (each.logsource, LogSource()), each.doc["event.dataset"]
