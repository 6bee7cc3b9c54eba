"""``wardwatch rules tune``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sigma.types import SigmaString
from typer.testing import Result

from detections.sigma import Ruleset
from detections.tuning import escape
from tests.detections.cli.laboratory import ROOT, Laboratory, alerts_of, invoke
from wardwatch.event import LogSource

SSHD = LogSource("linux", "", "sshd")
FALSE, TRUE = "false_positive_logic", "true_positive"


def closed(lab: Laboratory, *alerts: tuple[str, dict[str, Any]]) -> None:
    """Archive an event of root for each alert and close the alert with its verdict."""
    lab.archive([{"user.name": "root", **fields} for _, fields in alerts])
    for number, (verdict, _) in enumerate(alerts):
        events = [{"index": "i", "id": f"{number:08x}"}]
        alerts_of(lab, "rule", [verdict], number=number, source_events=events)


def tune(lab: Laboratory, *options: object) -> Result:
    return invoke("tune", lab.rule(ROOT), "--tenant", lab.tenant, *options)


def rows(result: Result) -> list[list[str]]:
    return [
        line.split()[-2:] for line in result.stdout.splitlines() if "positives" in line and line.split()[-1].isdigit()
    ]


def test_what_false_positives_share_and_true_ones_lack_becomes_a_filter(lab: Laboratory, tmp_path: Path) -> None:
    backup, shared = {"source.ip": "10.3.1.9", "host.name": "a"}, {"host.name": "a"}
    closed(lab, (FALSE, backup), (FALSE, backup), (FALSE, {"source.ip": "10.9.9.9"}), (TRUE, shared), (TRUE, {}))
    file = tmp_path / "filter.yml"
    result = tune(lab, "--write", file)
    assert result.exit_code == 0, result.output
    assert rows(result) == [["3", "1"], ["2", "2"]]
    assert "source.ip" in file.read_text()
    assert "host.name" not in file.read_text()  # a true positive is from there, too
    ruleset = Ruleset.load([lab.folder / "rule.yml", file])
    met = []
    for fields in (backup, {"source.ip": "10.9.9.9"}, shared):
        event = lab.event(0, {"user.name": "root", **fields})
        event.logsource = SSHD
        met.append(bool(ruleset.match(event)))
    assert met == [False, True, True]


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
@pytest.mark.parametrize("value", ["C:\\Temp\\*.exe", "a?b", "\\\\server\\share\\", "病区'\"", "- x: {y}"])
def test_signs_of_a_value_are_no_wildcards_in_the_filter(lab: Laboratory, value: str) -> None:
    closed(
        lab, (FALSE, {"file.path": value}), (FALSE, {"file.path": value.upper()}), (TRUE, {"file.path": value + "x"})
    )
    assert rows(tune(lab)) == [["2", "0"], ["1", "1"]]


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("alerts", "reason"),
    [
        ([(FALSE, {"source.ip": "a"})], "too few"),
        ([(FALSE, {"source.ip": "a"}), (FALSE, {"source.ip": "b"})], "no value is common"),
        ([(FALSE, {"source.ip": "a"}), (FALSE, {"source.ip": "a"}), (TRUE, {"source.ip": "A"})], "no value is common"),
        ([(TRUE, {})], "too few"),
    ],
)
def test_where_nothing_tells_them_apart_it_says_so_and_writes_nothing(
    lab: Laboratory, tmp_path: Path, alerts: list[tuple[str, dict[str, Any]]], reason: str
) -> None:
    closed(lab, *alerts, (TRUE, {}))
    result = tune(lab, "--write", tmp_path / "filter.yml")
    assert result.exit_code == 1
    assert reason in result.stderr
    assert not (tmp_path / "filter.yml").exists()


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_without_true_positives_nothing_is_proposed_unless_one_insists(lab: Laboratory) -> None:
    closed(lab, (FALSE, {"source.ip": "a"}), (FALSE, {"source.ip": "a"}))
    refused, insisted = tune(lab), tune(lab, "--unproven")
    assert (refused.exit_code, insisted.exit_code) == (1, 0)
    assert "nothing can prove" in refused.stderr
    assert "nothing proves" in insisted.stdout


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_who_and_where_go_before_what_says_as_much(lab: Laboratory) -> None:
    noise = {"sshd.method": "password", "agent.type": "x", "source.ip": "a", "zzz": "y"}
    closed(lab, (FALSE, noise), (FALSE, noise), (TRUE, {}))
    assert "source.ip" in tune(lab).stdout


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_alerts_whose_events_are_gone_are_counted(lab: Laboratory) -> None:
    closed(lab, (FALSE, {"source.ip": "a"}), (FALSE, {"source.ip": "a"}), (TRUE, {}))
    alerts_of(lab, "rule", [FALSE], number=9, source_events=[{"index": "i", "id": "gone"}])
    assert "1 alerts left out" in tune(lab).stdout


@given(st.text())
def test_an_escaped_value_means_itself(value: str) -> None:
    read = SigmaString(escape(value))
    assert not read.contains_special()
    assert "".join(str(part) for part in read.s) == value
