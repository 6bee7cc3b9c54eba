"""A folder with one rule, and the laboratory on each store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.detections.cli.laboratory import Laboratory
from tests.detections.cli.running import ROOT, written
from wardwatch.store import open_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with one rule: a login of root over SSH."""
    (tmp_path / "root.yml").write_text(written(ROOT))
    return tmp_path


@pytest.fixture(params=["sqlite", pytest.param("elasticsearch", marks=pytest.mark.elasticsearch)])
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laboratory]:
    """A laboratory on a real file and on a real server; the commands find it by the environment."""
    real = request.param == "elasticsearch"
    url = request.getfixturevalue("elasticsearch") if real else f"sqlite:///{tmp_path / 'store.sqlite'}"
    monkeypatch.setenv("WARDWATCH_STORE", url)
    monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
    store = open_store(url)
    store.setup()
    (tmp_path / "rules").mkdir()
    yield Laboratory(store, f"t{uuid4().hex[:12]}", tmp_path / "rules")
    store.close()
