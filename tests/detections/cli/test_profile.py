"""``wardwatch rules profile``."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from detections.cli import rules
from detections.sigma.prefilter import ANY, Prefilter
from tests.detections.cli.laboratory import DAY, Laboratory
from tests.detections.cli.running import ROOT, invoke, written


@pytest.mark.parametrize("by_fields", [False, True])
def test_candidates_matches_and_misses_are_counted_for_each_rule(
    folder: Path, by_fields: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if by_fields:  # as for a log source whose events would ask many rules
        monkeypatch.setattr(Prefilter, "candidates", lambda _, _raw: ANY)
    both = {**ROOT, "id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "title": "Both"}
    both["detection"] = {"sel": {"user.name": "root", "source.ip": "10.3.1.9"}, "condition": "sel"}
    (folder / "both.yml").write_text(written(both))
    events = [
        {"event.dataset": "linux.sshd", "user.name": user, "source.ip": "10.3.1.9"} for user in ["root", "root", "li"]
    ]
    (folder / "events.ndjson").write_bytes(b"\n".join(map(orjson.dumps, events)))
    result = invoke(rules, "profile", "--json", "--rules", folder, folder / "events.ndjson")
    rows = {row["rule_title"]: row for row in map(orjson.loads, result.stdout.splitlines())}
    found = rows["A rule"]["candidates"], rows["A rule"]["matches"], rows["A rule"]["misses"]
    assert found == (2, 2, 2 if by_fields else 0)
    assert (rows["Both"]["matches"], rows["Both"]["misses"]) == (2, 3 if by_fields else 0)
    assert rows["Both"]["candidates"] in (2, 3)
    assert all(0 < row["share"] < 1 for row in rows.values())


def test_the_table_names_rules_and_the_fields_that_were_scanned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Prefilter, "candidates", lambda _, _raw: ANY)
    (folder / "events.ndjson").write_bytes(orjson.dumps({"event.dataset": "linux.sshd", "user.name": "root"}))
    said = invoke(rules, "profile", "--rules", folder, folder / "events.ndjson").stdout
    assert "A rule" in said
    assert "user.name" in said
    assert "1 events" in said


def test_a_file_that_is_not_there_is_a_usage_error(folder: Path) -> None:
    assert invoke(rules, "profile", "--rules", folder, folder / "absent.ndjson").exit_code == 2


def profiled(lab: Laboratory, *arguments: object) -> dict[str, Any]:
    """Profile the laboratory's rules on its archive; return the only rule's row."""
    result = invoke(rules, "profile", "--json", "--rules", lab.folder, *DAY, "--tenant", lab.tenant, *arguments)
    assert result.exit_code == 0, result.output
    (row,) = map(orjson.loads, result.stdout.splitlines())
    return dict(row)


def test_without_files_what_is_archived_in_the_span_is_matched(lab: Laboratory) -> None:
    lab.rule(ROOT)
    lab.archive([{"user.name": user} for user in ("root", "ops", "root", "root")], every=timedelta(hours=10))
    row = profiled(lab)  # the fourth event is of the day after
    assert (row["candidates"], row["matches"]) == (2, 2)


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_sample_is_of_all_the_span(lab: Laboratory) -> None:
    lab.rule(ROOT)
    lab.archive([{"user.name": "root" if hour > 11 else "ops"} for hour in range(24)], every=timedelta(hours=1))
    assert profiled(lab, "--sample", 24)["matches"] == 12
    assert profiled(lab, "--sample", 8)["matches"] == 4


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_an_empty_span_is_an_error_with_its_remedy(lab: Laboratory) -> None:
    lab.rule(ROOT)
    result = invoke(rules, "profile", "--rules", lab.folder, *DAY)
    assert result.exit_code == 1
    assert "name files" in str(result.exception)
