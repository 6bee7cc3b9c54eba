from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from importlib.metadata import distributions
from pathlib import Path

import pytest

PACKAGES = {"wardwatch", "ingest", "enrich", "detections", "dashboards"}
ROOT = Path(__file__).parents[1]


def test_no_other_distribution_ships_one_of_our_packages() -> None:
    for distribution in distributions():
        if distribution.name == "wardwatch":
            continue
        tops = {file.parts[0] for file in distribution.files or [] if len(file.parts) > 1}
        assert not tops & PACKAGES, distribution.name


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(folder),
        ".",
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def test_the_wheel_holds_every_tracked_file_of_our_packages(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    listed = subprocess.run(["git", "ls-files", *PACKAGES], cwd=ROOT, check=True, capture_output=True, text=True)
    assert set(listed.stdout.split()) <= inside


def test_the_installed_wheel_answers(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=False, system_site_packages=False, symlinks=True)
    python = tmp_path / "venv" / "bin" / "python"
    site = next((tmp_path / "venv" / "lib").glob("python3*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    installed = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "dependencies.pth").write_text(installed + "\n")
    code = "import wardwatch, sys; from wardwatch.cli import main; sys.argv = ['wardwatch', 'version']; main()"
    done = subprocess.run([python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout.startswith("wardwatch "), done.stderr
