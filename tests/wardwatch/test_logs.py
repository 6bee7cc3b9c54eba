from __future__ import annotations

import json

import pytest
import structlog
from pydantic import SecretStr

from wardwatch import logs


def test_a_log_line_is_one_json_object_without_secrets(capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", stage="matcher")
    structlog.get_logger().info("started", token="abc", key=SecretStr("def"), text="line\nbreak \x1b[31m")
    (line,) = capfd.readouterr().err.splitlines()
    entry = json.loads(line)
    assert entry["stage"] == "matcher"
    assert entry["event"] == "started"
    assert entry["text"] == "line\nbreak \x1b[31m"
    assert "abc" not in line
    assert "def" not in line
    assert "\x1b" not in line
