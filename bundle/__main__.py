"""``python -m bundle [FOLDER]`` (``make bundle``): wheels of the lock, our own, documents, unit and installer.

The wheels are for the Python and the machine that build it. Each is checked against the hashes of requirements.lock
when it is fetched; the bundle's own requirements.txt has the hash of every wheel in it, also of what was built here.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

ROOT = Path(__file__).parents[1]
UNITS = (
    "docker/provider/wardwatch.service",
    "docker/site/wardwatch-collector.service",
    "docker/site/wardwatch-reveal.service",
)
_NOT_INSTALLED = frozenset({"dev"})
"""Extras that no site needs."""


def main(target: Path) -> Path:
    """Build the bundle in a folder and return the archive."""
    version = distribution("wardwatch").version
    name = f"wardwatch-{version}-py{sys.version_info.major}{sys.version_info.minor}-{platform.machine()}"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / name
        _wheels(folder / "wheels", Path(scratch))
        _texts(folder, version)
        _pip(folder / "pip.pyz")
        _sums(folder)
        archive = target / f"{name}.tar.gz"
        with tarfile.open(archive, "w:gz") as file:
            file.add(folder, name)
    return archive


def needed(name: str, extras: frozenset[str]) -> set[str]:
    """Return the canonical names of the distributions that one needs here, its own among them."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting: set[tuple[str, frozenset[str]]] = {(name, extras)}
    while waiting:
        found |= waiting
        following: set[tuple[str, frozenset[str]]] = {
            (canonicalize_name(requirement.name), frozenset(requirement.extras))
            for name, extras in waiting
            for requirement in map(Requirement, _requires(name))
            if any(_wanted(requirement, extra) for extra in extras | {""})
        }
        waiting = following - found
    return {name for name, _ in found}


def _requires(name: str) -> list[str]:
    try:
        return distribution(name).requires or []
    except PackageNotFoundError:
        sys.exit(f"{name} is not installed here: make setup")


def _wanted(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def locked(names: set[str]) -> Iterator[str]:
    """Yield the blocks of requirements.lock, with their hashes, of these distributions."""
    for block in re.split(r"\n(?=\S)", (ROOT / "requirements.lock").read_text("utf-8")):
        if canonicalize_name(block.partition("==")[0]) in names:
            yield "\n".join(line for line in block.splitlines() if not line.lstrip().startswith("#"))


def _wheels(folder: Path, scratch: Path) -> None:
    extras = distribution("wardwatch").metadata.get_all("Provides-Extra") or []
    names = needed("wardwatch", frozenset(extras) - _NOT_INSTALLED) - {"wardwatch"}
    wanted = scratch / "wanted.txt"
    wanted.write_text("\n".join(locked(names)) + "\n", "utf-8")
    _run_pip("wheel", "--no-deps", "--require-hashes", "--requirement", str(wanted), "--wheel-dir", str(folder))
    _run_pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    built = sorted(folder.glob("*.whl"))
    missing = names - {parse_wheel_filename(wheel.name)[0] for wheel in built}
    if missing:
        sys.exit(f"not in requirements.lock: {', '.join(sorted(missing))}")
    rows = (f"{_pin(wheel)} --hash=sha256:{_digest(wheel)}\n" for wheel in built)
    (folder / "requirements.txt").write_text("".join(rows), "utf-8")


def _run_pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def _pin(wheel: Path) -> str:
    name, version, _, _ = parse_wheel_filename(wheel.name)
    return f"{name}=={version}"


def _pip(path: Path) -> None:
    """Write this environment's pip as one file: Debian's Python comes without."""
    package = Path(str(distribution("pip").locate_file("pip")))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("__main__.py", "import runpy\nrunpy.run_module('pip', run_name='__main__', alter_sys=True)\n")
        for each in sorted(package.rglob("*")):
            if each.is_file() and each.suffix != ".pyc":
                file.write(each, each.relative_to(package.parent))


def _texts(folder: Path, version: str) -> None:
    shutil.copytree(ROOT / "docs", folder / "docs")
    for name in ("LICENSE", "CHANGELOG.md", "bundle/install.sh", *UNITS):
        shutil.copy(ROOT / name, folder)
    (folder / "VERSION").write_text(f"{version}\n", "utf-8")
    (folder / "PYTHON").write_text(f"{sys.version_info.major}.{sys.version_info.minor}\n", "utf-8")


def _sums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    rows = (f"{_digest(path)}  {path.relative_to(folder)}\n" for path in files)
    (folder / "SHA256SUMS").write_text("".join(rows), "utf-8")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    print(main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "dist"))
