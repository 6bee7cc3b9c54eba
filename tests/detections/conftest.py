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
def sigmahq_files(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all rules of SigmaHQ."""
    return _unpacked(sample_data / "sigmahq-rules.tar.gz", tmp_path_factory)


@pytest.fixture(scope="session")
def sigmahq(sigmahq_files: Path) -> Ruleset:
    """All rules of SigmaHQ, loaded."""
    return Ruleset.load([sigmahq_files])


@pytest.fixture(scope="session")
def regression(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with SigmaHQ's regression tests: ``info.yml`` beside the events as JSON and EVTX."""
    return _unpacked(sample_data / "sigmahq-regression.tar.gz", tmp_path_factory)


def _unpacked(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(archive.name.partition(".")[0])
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    return folder
