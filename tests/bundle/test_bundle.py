"""The bundle installs in a network namespace that has no network, and a damaged one does not."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import orjson
import pytest

from bundle.__main__ import locked, main, needed
from ingest.parsers import parser
from wardwatch.testing import peers


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    with tarfile.open(main(folder)) as archive:
        archive.extractall(folder, filter="data")
    (found,) = (path for path in folder.iterdir() if path.is_dir())
    return found


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("root")


def offline(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command where there is no network, not even loopback."""
    alone = [peers.program("unshare", "util-linux"), "--map-root-user", "--net"]
    path = f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"
    return subprocess.run(
        [*alone, *command], cwd=cwd, env={"PATH": path}, capture_output=True, text=True, check=False, timeout=200
    )


def install(bundle: Path, root: Path) -> subprocess.CompletedProcess[str]:
    return offline("./install.sh", "--prefix", root, cwd=bundle)


def test_it_installs_offline_runs_and_parses_and_repeating_it_changes_nothing(unpacked: Path, root: Path) -> None:
    done = install(unpacked, root)
    assert done.returncode == 0, done.stderr
    command = root / "opt/wardwatch/bin/wardwatch"
    assert offline(command, "version", cwd=root).stdout.startswith("wardwatch ")
    (root / "adt.hl7").write_bytes(parser("hl7v2").sample())
    parsed = offline(command, "parse", "--source", "hl7v2", "adt.hl7", cwd=root)
    assert parsed.returncode == 0, parsed.stderr
    assert {orjson.loads(line)["event.dataset"] for line in parsed.stdout.splitlines()} == {"hl7.v2"}
    assert (root / "opt/wardwatch/docs/operator/afternoon.md").is_file()
    before = (root / "opt/wardwatch/bin").resolve().stat().st_ctime_ns
    assert install(unpacked, root).returncode == 0
    assert (root / "opt/wardwatch/bin").resolve().stat().st_ctime_ns == before


def test_a_version_that_cannot_be_installed_leaves_the_one_before_in_force(unpacked: Path, root: Path) -> None:
    install(unpacked, root)
    inside = (root / "opt/wardwatch/bin").resolve()
    pins = unpacked / "wheels/requirements.txt"
    good, version, sums = (path.read_text() for path in (pins, unpacked / "VERSION", unpacked / "SHA256SUMS"))
    try:
        (unpacked / "VERSION").write_text("9.9.9\n")
        pins.write_text("no-such-distribution==1 --hash=sha256:" + "0" * 64 + "\n")
        refused = install(unpacked, root)
        assert "the bundle is damaged" in refused.stderr
        resummed = subprocess.run(
            "grep -v 'VERSION$\\|requirements.txt$' SHA256SUMS; sha256sum VERSION wheels/requirements.txt",
            shell=True,
            cwd=unpacked,
            capture_output=True,
            text=True,
            check=True,
        )
        (unpacked / "SHA256SUMS").write_text(resummed.stdout)
        failed = install(unpacked, root)
    finally:
        pins.write_text(good)
        (unpacked / "VERSION").write_text(version)
        (unpacked / "SHA256SUMS").write_text(sums)
    assert "no-such-distribution" in failed.stderr
    assert failed.returncode != 0
    assert (root / "opt/wardwatch/bin").resolve() == inside


def test_a_wheel_with_one_other_byte_is_refused_before_anything_is_done(unpacked: Path, tmp_path: Path) -> None:
    wheel = next(unpacked.glob("wheels/wardwatch-*.whl"))
    good = wheel.read_bytes()
    wheel.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    try:
        done = install(unpacked, tmp_path)
    finally:
        wheel.write_bytes(good)
    assert done.returncode == 1
    assert "the bundle is damaged" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_what_only_developers_need_is_left_out_and_every_wheel_is_locked() -> None:
    names = needed("wardwatch", frozenset()) - {"wardwatch"}
    assert {"cryptography", "orjson", "starlette"} <= names
    assert not names & {"pytest", "mypy", "ruff", "playwright"}
    blocks = list(locked(names))
    assert len(blocks) == len(names)
    assert all("--hash=sha256:" in block for block in blocks)
