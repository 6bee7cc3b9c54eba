"""Real peers of other makers that tests talk to: a program that Debian packages, found where it is installed."""

from __future__ import annotations

import glob
import os
import shutil
from typing import NoReturn

import pytest

_FOLDERS = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin:/usr/libexec"


def program(name: str, package: str) -> str:
    """Return the path of a program; skips the test where it is missing, naming its package, but fails under CI=true."""
    versions = sorted(glob.glob("/usr/lib/postgresql/*/bin"), reverse=True)  # noqa: PTH207 Debian keeps several
    found = shutil.which(name, path=":".join((os.environ.get("PATH", ""), _FOLDERS, *versions)))
    if found is None:
        missing(f"{name} is not installed: apt-get install {package}")
    return found


def missing(reason: str) -> NoReturn:
    """Skip the test for want of a peer; under CI=true fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
