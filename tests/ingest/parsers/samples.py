"""Sample messages of other projects, kept beside the checkout."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parent / "fixtures"
_ARCHIVE = Path(__file__).parents[4] / "shared" / "data" / "hl7-atna-samples.tar.gz"


def fixture(name: str) -> bytes:
    """Return a fixture of this folder."""
    return (FIXTURES / name).read_bytes()


def samples(folder: str) -> dict[str, bytes]:
    """Return the sample files of a folder, ``hl7`` or ``atna``, by name; skips the test where they are absent."""
    if not _ARCHIVE.exists():
        pytest.skip(f"{_ARCHIVE.name} is not in shared/data beside the checkout")
    with tarfile.open(_ARCHIVE) as archive:
        found = {member.name: archive.extractfile(member) for member in archive if member.name.startswith(f"{folder}/")}
        return {name: file.read() for name, file in found.items() if file is not None}
