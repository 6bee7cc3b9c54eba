"""A Chromium for browser tests: on PATH, else Playwright's own download, else Debian's package as root.

``python -m wardwatch.testing.browser`` installs one where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from wardwatch.errors import SettingsError

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DOWNLOAD_S = 600

ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),  # Chromium refuses its sandbox as root
]
"""Arguments for a Chromium that talks to nobody but the page under test."""


def executable() -> str | None:
    """Return the path of an installed Chromium, or None."""
    for name in _NAMES:
        if found := shutil.which(name):
            return found
    return _playwright()


def ensure() -> str:
    """Return an installed Chromium, installing one where there is none; raises SettingsError naming what was tried."""
    tried = []
    for install in (None, _download, _package):
        if install is not None:
            tried.append(install())
        if found := executable():
            return found
    raise SettingsError("; ".join(tried), step="test browser", remedy="put chromium on PATH")


def _playwright() -> str | None:
    from playwright.sync_api import Error, sync_playwright

    try:
        with sync_playwright() as playwright:
            path = Path(playwright.chromium.executable_path)
    except Error:
        return None
    return str(path) if path.exists() else None


def _download() -> str:
    return _try([sys.executable, "-m", "playwright", "install", "chromium"])


def _package() -> str:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not shutil.which("apt-get"):
        return "apt-get: needs root on Debian"
    return _try(["apt-get", "update", "-q"]) + "; " + _try(["apt-get", "install", "-q", "-y", "chromium"])


def _try(command: list[str]) -> str:
    """Run the command and return how it ended, for the error message."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_DOWNLOAD_S)  # noqa: S603
    except subprocess.TimeoutExpired:
        return f"{command[-2]}: no end after {_DOWNLOAD_S} s"
    return f"{' '.join(command[-3:])}: exit {done.returncode} {done.stderr.strip()[-200:]}"


if __name__ == "__main__":
    try:
        print(ensure())
    except SettingsError as error:
        sys.exit(str(error))
