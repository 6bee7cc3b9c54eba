"""SigmaHQ's rules, where the sample data lies beside the checkout."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from detections.sigma import Ruleset


@pytest.fixture(scope="session")
def sample_data() -> Path:
    """The folder of sample data; skips where it is absent."""
    folder = Path(__file__).parents[3] / "shared" / "data"
    if not folder.exists():
        pytest.skip("no folder shared/data beside the checkout")
    return folder


@pytest.fixture(scope="session")
def sigmahq(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ruleset:
    """All rules of SigmaHQ, loaded."""
    folder = tmp_path_factory.mktemp("sigmahq")
    with tarfile.open(sample_data / "sigmahq-rules.tar.gz") as archive:
        archive.extractall(folder, filter="data")
    return Ruleset.load([folder])
