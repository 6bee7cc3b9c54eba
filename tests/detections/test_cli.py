"""``wardwatch rules`` and ``wardwatch detect`` as a rule writer uses them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from detections.cli import rules
from detections.cli.detect import detect
from tests.detections.rules_under_test import RULE_ID, rule_document

ROOT = rule_document({"user.name": "root"}, level="high", logsource={"product": "linux", "service": "sshd"})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root.yml").write_text(yaml.safe_dump(ROOT, sort_keys=False))
    return tmp_path


def invoke(app: typer.Typer, *arguments: object, text: str | bytes | None = None) -> Result:
    return CliRunner().invoke(app, [str(each) for each in arguments], input=text)


@pytest.fixture(scope="module")
def detector() -> typer.Typer:
    app = typer.Typer()
    app.command()(detect)
    return app


def tests_beside(folder: Path, **tests: object) -> None:
    (folder / "root.test.yml").write_text(yaml.safe_dump(tests))


def test_list_shows_each_rule_and_json_is_one_object_a_line(folder: Path) -> None:
    assert "A rule" in invoke(rules, "list", folder).stdout
    (line,) = invoke(rules, "list", "--json", folder).stdout.splitlines()
    assert orjson.loads(line)["id"] == RULE_ID


def test_list_of_rejected_rules_says_where_and_why(folder: Path) -> None:
    (folder / "broken.yml").write_text("a: [")
    (line,) = invoke(rules, "list", "--rejected", "--json", folder).stdout.splitlines()
    assert orjson.loads(line)["file"].endswith("broken.yml")


def test_check_passes_good_rules_and_names_the_line_of_bad_ones(folder: Path) -> None:
    assert invoke(rules, "check", folder).exit_code == 0
    bad = {**ROOT, "id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "level": "urgent"}
    (folder / "bad.yml").write_text(yaml.safe_dump(bad, sort_keys=False))
    result = invoke(rules, "check", folder)
    assert result.exit_code == 1
    assert "bad.yml:" in result.stderr
    assert "urgent" in result.stderr


def test_rule_tests_pass_when_every_event_behaves(folder: Path) -> None:
    tests_beside(folder, match=[{"user.name": "root"}], no_match=[{"user.name": "alice"}])
    result = invoke(rules, "test", folder)
    assert (result.exit_code, "passed" in result.stdout) == (0, True)


@pytest.mark.parametrize(
    "tests",
    [
        {"match": [{"user.name": "alice"}]},
        {"no_match": [{"user.name": "root"}]},
        {"match": [{"user.name": "root", "logsource": {"product": "windows"}}]},
        {"match": []},
        {"mtach": []},
    ],
)
def test_rule_tests_fail_when_an_event_does_not_behave(folder: Path, tests: dict[str, object]) -> None:
    tests_beside(folder, **tests)
    assert invoke(rules, "test", folder).exit_code == 1


def test_a_rule_without_tests_fails(folder: Path) -> None:
    assert invoke(rules, "test", folder).exit_code == 1


def test_show_prints_the_rule_as_written(folder: Path) -> None:
    assert "user.name: root" in invoke(rules, "show", RULE_ID, folder).stdout


def test_detect_prints_a_match_for_each_event_that_meets_a_rule(folder: Path, detector: typer.Typer) -> None:
    event = {"event.id": "e1", "event.dataset": "linux.sshd", "user.name": "root"}
    other = {"event.id": "e2", "event.dataset": "linux.sudo", "user.name": "root"}
    text = b"\n".join(map(orjson.dumps, (event, other)))
    result = invoke(detector, "--rules", folder, "-", text=text)
    assert result.exit_code == 0
    (line,) = result.stdout.splitlines()
    found = orjson.loads(line)
    assert (found["rule"], found["event"], found["matched"]) == (RULE_ID, "e1", {"user.name": ["root"]})


def test_detect_names_each_line_it_can_not_read_and_goes_on(folder: Path, detector: typer.Typer) -> None:
    event = orjson.dumps({"event.dataset": "linux.sshd", "user.name": "root"})
    result = invoke(detector, "--rules", folder, "-", text=b"{\n" + event + b"\n")
    assert result.exit_code == 1
    assert "line 1" in result.stderr
    assert len(result.stdout.splitlines()) == 1


def test_detect_knows_windows_events_by_channel_and_id(folder: Path, detector: typer.Typer) -> None:
    rule = rule_document(
        {"Image|endswith": "cmd.exe"}, logsource={"product": "windows", "category": "process_creation"}
    )
    (folder / "root.yml").write_text(yaml.safe_dump(rule))
    event = {
        "winlog.channel": "Microsoft-Windows-Sysmon/Operational",
        "winlog.event_id": 1,
        "winlog.event_data.Image": "C:\\cmd.exe",
    }
    result = invoke(detector, "--rules", folder, "-", text=orjson.dumps(event))
    assert len(result.stdout.splitlines()) == 1
