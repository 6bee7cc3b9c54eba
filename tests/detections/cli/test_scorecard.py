"""``wardwatch rules scorecard``."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from tests.detections.cli.laboratory import ROOT, Laboratory, alerts_of, correlation, invoke
from wardwatch.alert import Verdict
from wardwatch.event import rfc3339

NOISY = ROOT | {"id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "title": "=cmd"}
GOOD = ("true_positive", "true_positive", "duplicate", "exercise", "benign_positive")
BAD = ("false_positive_logic", "false_positive_data", "true_positive", "")


def scores(lab: Laboratory, *arguments: object) -> list[dict[str, Any]]:
    result = invoke("scorecard", lab.folder, "--tenant", lab.tenant, "--json", *arguments)
    assert result.exit_code == 0, result.output
    return [orjson.loads(line) for line in result.stdout.splitlines()]


def test_precision_is_of_judged_alerts_and_the_worst_rule_comes_first(lab: Laboratory) -> None:
    lab.rule(ROOT)
    lab.rule(NOISY, "noisy.yml")
    lab.rule(ROOT | {"id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b98", "title": "Silent"}, "silent.yml")
    alerts_of(lab, ROOT["id"], GOOD)
    alerts_of(lab, NOISY["id"], BAD)
    noisy, good, silent = scores(lab)
    assert (noisy["title"], noisy["precision"], noisy["alerts"], noisy["open"]) == ("=cmd", 0.3333, 4, 1)
    assert (good["title"], good["precision"], good["matches"]) == ("Root", 0.6667, 15)
    assert (silent["title"], silent["precision"], silent["last_fired"]) == ("Silent", None, "")
    assert {verdict.value: good[verdict.value] for verdict in Verdict if good[verdict.value]} == {
        "true_positive": 2,
        "duplicate": 1,
        "exercise": 1,
        "benign_positive": 1,
    }


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_only_alerts_of_the_days_and_hospitals_count(lab: Laboratory) -> None:
    lab.rule(ROOT)
    alerts_of(lab, ROOT["id"], ("true_positive",), at=datetime.now(UTC) - timedelta(days=9))
    alerts_of(lab, ROOT["id"], ("true_positive",), tenant="elsewhere")
    assert [score["alerts"] for score in scores(lab, "--days", 8)] == [0]
    assert [score["alerts"] for score in scores(lab, "--days", 10)] == [1]


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_alerts_of_a_rule_that_is_gone_are_shown_as_such_and_those_of_a_correlation_are_not(lab: Laboratory) -> None:
    lab.rule(ROOT)
    many = correlation(ROOT["id"], "Many")
    lab.rule(many, "many.yml")
    alerts_of(lab, "gone", ("false_positive_logic",))
    alerts_of(lab, many["id"], ("",))
    found = [(score["rule"], score["in_force"]) for score in scores(lab)]
    assert found == [("gone", False), (many["id"], True), (ROOT["id"], True)]
    assert "gone (not" in invoke("scorecard", lab.folder).stdout


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_a_spreadsheet_runs_no_title_as_a_formula(lab: Laboratory) -> None:
    lab.rule(NOISY)
    (row,) = csv.DictReader(io.StringIO(invoke("scorecard", lab.folder, "--csv").stdout))
    assert row["title"] == "'=cmd"


def test_cost_is_the_share_of_matching_time_on_what_is_archived(lab: Laboratory) -> None:
    lab.rule(ROOT)
    never = ROOT | {"id": NOISY["id"], "detection": {"a": {"user.name": "nobody"}, "condition": "a"}}
    lab.rule(never, "never.yml")
    lab.rule(correlation(ROOT["id"], "Many"), "many.yml")
    now = rfc3339(datetime.now(UTC) - timedelta(hours=1))
    lab.archive([{"@timestamp": now, "user.name": "root"}] * 20)
    costs = {score["title"]: score["cost"] for score in scores(lab)}
    assert 0 < costs["Root"] < 1
    assert {score["rule"]: score["cost"] for score in scores(lab)}[NOISY["id"]] == 0
    assert costs["Many"] is None
    assert {score["cost"] for score in scores(lab, "--sample", 0)} == {None}
