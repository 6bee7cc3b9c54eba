"""``wardwatch rules explain``."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from detections.cli import rules
from tests.detections.cli.running import invoke
from tests.detections.rules_under_test import RULE_ID
from wardwatch.event import Event
from wardwatch.store import open_store

EVENT = {"event.id": "e1", "@timestamp": "2026-03-01T02:11:09.000Z", "event.dataset": "linux.sshd", "user.name": "root"}


def test_a_rule_is_named_by_file_and_the_event_by_its_record(folder: Path) -> None:
    file = folder / "events.ndjson"
    file.write_bytes(orjson.dumps({**EVENT, "user.name": "alice"}) + b"\n" + orjson.dumps(EVENT))
    first, second = (
        invoke(rules, "explain", folder / "root.yml", file, "--record", number, "--lang", "en") for number in (1, 2)
    )
    assert (first.exit_code, second.exit_code) == (1, 0)
    assert '`user.name` is "alice", the rule wants "root"' in first.stdout
    assert "It matches" in second.stdout


@pytest.mark.parametrize("name", [RULE_ID, "root", "A rule"])
def test_a_rule_is_named_by_id_or_name(folder: Path, name: str) -> None:
    result = invoke(rules, "explain", name, "-", "--rules", folder, text=orjson.dumps(EVENT))
    assert result.exit_code == 0


@pytest.mark.parametrize(("language", "shown"), [("en", (True, False)), ("zh", (False, True)), ("both", (True, True))])
def test_the_answer_is_in_the_languages_asked_for(folder: Path, language: str, shown: tuple[bool, bool]) -> None:
    result = invoke(rules, "explain", folder / "root.yml", "-", "--lang", language, text=orjson.dumps(EVENT))
    assert ("It matches" in result.stdout, "命中" in result.stdout) == shown


def test_the_language_is_that_of_the_locale(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "命中" in invoke(rules, "explain", folder / "root.yml", "-", text=orjson.dumps(EVENT)).stdout


def test_an_event_of_the_store_is_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{folder / 'store.db'}"
    store = open_store(url)
    store.setup()
    store.events.write([Event(dict(EVENT), "renai", "linux")])
    store.close()
    monkeypatch.setenv("WARDWATCH_STORE", url)
    result = invoke(rules, "explain", folder / "root.yml", "--event-id", "e1", "--tenant", "renai")
    assert (result.exit_code, "It matches" in result.stdout) == (0, True)


@pytest.mark.parametrize("arguments", [("nobody", "-"), ("root", "-", "--record", "2"), ("root",), ("root", "absent")])
def test_what_is_not_there_is_an_error(folder: Path, arguments: tuple[str, ...]) -> None:
    result = invoke(rules, "explain", *arguments, "--rules", folder, text=orjson.dumps(EVENT))
    assert result.exit_code != 0
    assert "It " not in result.stdout
