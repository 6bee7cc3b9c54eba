"""``wardwatch rules profile``."""

from __future__ import annotations

from pathlib import Path

import orjson

from detections.cli import rules
from tests.detections.cli.running import ROOT, invoke, written


def test_candidates_matches_and_misses_are_counted_for_each_rule(folder: Path) -> None:
    both = {**ROOT, "id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "title": "Both"}
    both["detection"] = {"sel": {"user.name": "root", "source.ip": "10.3.1.9"}, "condition": "sel"}
    (folder / "both.yml").write_text(written(both))
    events = [
        {"event.dataset": "linux.sshd", "user.name": user, "source.ip": "10.3.1.9"} for user in ["root", "root", "li"]
    ]
    (folder / "events.ndjson").write_bytes(b"\n".join(map(orjson.dumps, events)))
    result = invoke(rules, "profile", "--json", "--rules", folder, folder / "events.ndjson")
    rows = {row["rule_title"]: row for row in map(orjson.loads, result.stdout.splitlines())}
    assert (rows["A rule"]["candidates"], rows["A rule"]["matches"], rows["A rule"]["misses"]) == (2, 2, 2)
    assert (rows["Both"]["matches"], rows["Both"]["misses"]) == (2, 3)
    assert rows["Both"]["candidates"] in (2, 3)
    assert all(0 < row["share"] < 1 for row in rows.values())


def test_the_table_names_rules_and_fields(folder: Path) -> None:
    (folder / "events.ndjson").write_bytes(orjson.dumps({"event.dataset": "linux.sshd", "user.name": "root"}))
    said = invoke(rules, "profile", "--rules", folder, folder / "events.ndjson").stdout
    assert "A rule" in said
    assert "user.name" in said
    assert "1 events" in said


def test_a_file_that_is_not_there_is_a_usage_error(folder: Path) -> None:
    assert invoke(rules, "profile", "--rules", folder, folder / "absent.ndjson").exit_code == 2
