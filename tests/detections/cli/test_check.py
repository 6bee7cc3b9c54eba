"""``wardwatch rules check``."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import orjson
import yaml

from detections.cli import rules
from detections.sigma import PACK
from tests.detections.cli.running import ROOT, invoke

OFFLINE = """
import socket, sys
def refuse(*_): raise OSError("the network is closed")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from wardwatch.cli import main
sys.argv = ["wardwatch", "rules", "check", sys.argv[1]]
main()
"""


def test_the_shipped_rules_have_no_finding() -> None:
    result = invoke(rules, "check", "--strict", PACK)
    assert (result.exit_code, result.stdout) == (0, "")


def test_findings_are_printed_as_file_line_severity_name_and_message(folder: Path) -> None:
    result = invoke(rules, "check", folder)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert f"{folder / 'root.yml'}:1: warning: no_tests: no events beside it in root.test.yml" in lines
    assert all(re.fullmatch(r".+:\d+: (error|warning): \w+: .+", line) for line in lines)


def test_warnings_fail_only_when_they_are_asked_to(folder: Path) -> None:
    assert [invoke(rules, "check", *strict, folder).exit_code for strict in ((), ("--strict",))] == [0, 1]


def test_a_rule_that_can_not_be_loaded_is_an_error_on_its_line(folder: Path) -> None:
    bad = {**ROOT, "id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "level": "urgent"}
    (folder / "bad.yml").write_text(yaml.safe_dump(bad, sort_keys=False))
    result = invoke(rules, "check", "--format", "json", folder)
    assert result.exit_code == 1
    (found,) = (row for row in map(orjson.loads, result.stdout.splitlines()) if row["severity"] == "error")
    assert (found["name"], found["file"]) == ("rejected", str(folder / "bad.yml"))
    assert "level: urgent" in (folder / "bad.yml").read_text().splitlines()[found["line"] - 1]
    assert "urgent" in found["message"]


def test_nothing_is_fetched_from_the_network(folder: Path) -> None:
    tagged = {**ROOT, "tags": ["attack.t1078", "d3fend.d3-pm", "attack.t9999"]}
    (folder / "root.yml").write_text(yaml.safe_dump(tagged, sort_keys=False))
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, str(folder)], capture_output=True, text=True, check=True, timeout=120
    )
    assert "unknown_attack_tag: 'attack.t9999'" in done.stdout
    assert "attack.t1078" not in done.stdout


FAULTS: list[dict[str, object]] = [
    {"detection": {"selection": {"a": "x**y", "b": "5"}, "condition": "all of them"}, "title": "Detects x"},
    {"detection": {"selection": {"a|contains": "*x*"}, "condition": "selection"}, "tags": ["tlp.blue", "tlp.blue"]},
    {"detection": {"selection": {"a|all": ["x"]}, "condition": "selection"}, "id": ROOT["id"]},
    {"logsource": {"product": "windows", "service": "sysmon"}, "detection": {"s": {"EventID": 1}, "condition": "s"}},
]


def test_sigma_check_of_sigma_cli_finds_the_same(tmp_path: Path) -> None:
    for number, fault in enumerate(FAULTS):
        rule = {**ROOT, "id": f"0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b0{number}", **fault}
        (tmp_path / f"rule{number}.yml").write_text(yaml.safe_dump(rule, sort_keys=False))
    program: list[str | Path] = [
        Path(sys.executable).with_name("sigma"),
        "check",
        "-x",
        "attacktag",
        "-x",
        "d3_fendtag",
        tmp_path,
    ]
    said = subprocess.run(program, capture_output=True, text=True, check=True, timeout=120).stdout
    issues = re.findall(r"^issue=(\w+)Issue .*? rule=(.+?)(?: \w+=.*)?$", said, re.M)
    theirs = Counter((_worded(name), file) for name, files in issues for file in files.strip().split(", "))
    rows = map(orjson.loads, invoke(rules, "check", "--format", "json", tmp_path).stdout.splitlines())
    ours = Counter((row["name"].removeprefix("sigma_"), row["file"]) for row in rows if row["name"][:6] == "sigma_")
    assert sum(theirs.values()) >= 6
    assert ours == theirs


def _worded(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
