"""Fetch server distributions from Maven into a cache outside the tracked files."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from wardwatch.errors import SettingsError

CACHE = Path(os.environ.get("WARDWATCH_TEST_CACHE", Path(__file__).parents[2] / ".cache" / "servers"))


def fetch(target: Path, *arguments: str) -> Path:
    """Run ``mvn`` with these goals unless ``target`` exists, and return it.

    The goal's output folder is ``target`` with the suffix ``.part``, renamed when complete; of processes that want the
    same target one fetches it, the others wait. Raises SettingsError when Maven is absent or fails.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(target.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return target if target.exists() else _fetch(target, arguments)


def _fetch(target: Path, arguments: Iterable[str]) -> Path:
    maven = shutil.which("mvn")
    if maven is None:
        raise SettingsError("mvn is not on PATH", step="test servers", remedy="install Maven and a JDK 21 or newer")
    part = target.with_name(target.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    done = subprocess.run(  # noqa: S603 arguments are constants of this package
        [maven, "-q", "-B", *arguments, f"-DoutputDirectory={part}"], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SettingsError(f"mvn failed: {(done.stdout + done.stderr)[-2000:]}", step="test servers")
    part.rename(target)
    return target


@cache
def java(least: int) -> Path:
    """Return the home of an installed JDK of at least this version, newest first; raises SettingsError."""
    homes = {Path(home) for home in (os.environ.get("JAVA_HOME"),) if home}
    on_path = shutil.which("java")
    if on_path:
        homes.add(Path(on_path).resolve().parents[1])
    homes.update(path for path in Path("/usr/lib/jvm").glob("*") if (path / "bin" / "java").exists())
    found = sorted(((_version(home), home) for home in homes), reverse=True)
    if not found or found[0][0] < least:
        raise SettingsError(f"no JDK {least} or newer", step="test servers", remedy="install one or set JAVA_HOME")
    return found[0][1]


def _version(home: Path) -> int:
    done = subprocess.run([home / "bin" / "java", "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match[1]) if match else 0
