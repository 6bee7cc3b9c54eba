"""``wardwatch rules check``."""

from __future__ import annotations

from pathlib import Path

import yaml

from detections.cli import rules
from tests.detections.cli.running import ROOT, invoke


def test_check_passes_good_rules_and_names_the_line_of_bad_ones(folder: Path) -> None:
    assert invoke(rules, "check", folder).exit_code == 0
    bad = {**ROOT, "id": "0f1c1f0a-6f5e-4b0e-9d5c-0d6c5f3f2b99", "level": "urgent"}
    (folder / "bad.yml").write_text(yaml.safe_dump(bad, sort_keys=False))
    result = invoke(rules, "check", folder)
    assert result.exit_code == 1
    assert "bad.yml:" in result.stderr
    assert "urgent" in result.stderr
