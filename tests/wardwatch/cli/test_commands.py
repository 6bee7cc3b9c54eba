from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.enrich.notify.servers import web
from wardwatch.cli import COMMANDS
from wardwatch.testing.ports import free_port


def wardwatch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    return subprocess.run(
        [sys.executable, "-m", "wardwatch", *arguments],
        env={**os.environ, "COLUMNS": "160", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_teaches_by_example(command: str) -> None:
    done = wardwatch(command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"wardwatch {command}" in done.stdout.replace(f"Usage: wardwatch {command}", "", 1)


def test_an_unknown_command_and_an_unknown_stage_are_refused() -> None:
    assert wardwatch("fly").returncode == 2
    refused = wardwatch("run", "matchr")
    assert refused.returncode == 2
    assert "'matchr' is no stage (one of collector, matcher" in refused.stderr


def test_doctor_says_that_the_embedded_default_works(tmp_path: Path) -> None:
    port = str(free_port())
    done = wardwatch("doctor", "--json", WARDWATCH_DATA_DIR=str(tmp_path), WARDWATCH_HEALTH_PORT=port)
    checks = {check["part"]: check for check in json.loads(done.stdout)}
    assert done.returncode == 0, done.stdout
    assert checks["bus"]["ok"]
    assert checks["store"]["ok"]
    assert checks["matcher"]["message"] == "not running on this machine"


def test_doctor_names_a_broker_and_a_store_that_do_not_answer(tmp_path: Path) -> None:
    nowhere = free_port()
    done = wardwatch(
        "doctor",
        "--json",
        WARDWATCH_DATA_DIR=str(tmp_path),
        WARDWATCH_BUS=f"kafka://127.0.0.1:{nowhere}",
        WARDWATCH_STORE=f"http://elastic:hush-hush@127.0.0.1:{nowhere}",
        WARDWATCH_HEALTH_PORT=str(free_port()),
    )
    assert done.returncode == 1
    messages = {check["part"]: check["message"] for check in json.loads(done.stdout)}
    assert "is WARDWATCH_BUS right and the broker up?" in messages["bus"]
    assert "is WARDWATCH_STORE right and the server up?" in messages["store"]
    assert "hush-hush" not in done.stdout + done.stderr


def test_a_stage_that_does_not_run_fails_its_health_check(tmp_path: Path) -> None:
    done = wardwatch("doctor", "--stage", "matcher", WARDWATCH_HEALTH_PORT=str(free_port()))
    assert done.returncode == 1
    assert "no answer at" in done.stdout


def test_init_creates_topics_and_store_and_may_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        done = wardwatch("init", "renai", WARDWATCH_DATA_DIR=str(tmp_path))
        assert done.returncode == 0, done.stderr
        assert "topic events.renai: 6 partitions" in done.stdout


def test_init_refuses_a_name_that_is_no_slug(tmp_path: Path) -> None:
    done = wardwatch("init", "Renai!", WARDWATCH_DATA_DIR=str(tmp_path))
    assert done.returncode == 2
    assert "is not 1 to 40 of a-z, 0-9 and _" in done.stderr


def test_secrets_of_a_channel_are_never_shown_and_a_wrong_row_is_not_written(tmp_path: Path) -> None:
    at = {"WARDWATCH_DATA_DIR": str(tmp_path)}
    row = {"kind": "dingtalk", "url": "https://robot.example/?access_token=t0ken", "secret": "SECabc"}
    assert wardwatch("tables", "set", "channels", "soc", json.dumps(row), **at).returncode == 0
    for command in (("get", "channels", "soc"), ("list", "channels")):
        shown = wardwatch("tables", *command, **at)
        assert "dingtalk" in shown.stdout
        assert "t0ken" not in shown.stdout + shown.stderr
        assert "SECabc" not in shown.stdout + shown.stderr
    for table, wrong in (
        ("channels", {"kind": "fax"}),
        ("routes", {"to": ["everybody"]}),
        ("on_call", {"person": "x"}),
    ):
        refused = wardwatch("tables", "set", table, "wrong", json.dumps(wrong), **at)
        assert (refused.returncode, wardwatch("tables", "get", table, "wrong", **at).returncode) == (2, 1)


def test_a_channel_is_tried_past_the_address_guard(tmp_path: Path) -> None:
    at = {"WARDWATCH_DATA_DIR": str(tmp_path)}
    with web() as server:
        row = {"kind": "slack", "lang": "en", "url": f"{server.url}/t0ken"}
        wardwatch("tables", "set", "channels", "soc", json.dumps(row), **at)
        refused = wardwatch("notify", "test", "soc", **at)
        assert (refused.returncode, server.requests) == (1, [])
        assert "internal address" in refused.stderr
        assert "t0ken" not in refused.stderr
        done = wardwatch("notify", "test", "soc", WARDWATCH_OUTBOUND__ALLOW='["127.0.0.1/32"]', **at)
        assert (done.returncode, done.stdout) == (0, "soc has taken the message\n")
        assert b"wardwatch: test of channel soc" in server.requests[0].body
    assert wardwatch("notify", "test", "absent", **at).returncode == 1
