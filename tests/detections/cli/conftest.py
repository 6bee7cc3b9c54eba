"""A folder with one rule: a login of root over SSH."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.detections.cli.running import ROOT, written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "root.yml").write_text(written(ROOT))
    return tmp_path
