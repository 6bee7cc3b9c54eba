"""Real syslog senders, each with a configuration and a folder of its own; they need no rights.

Debian lets only one of rsyslog and syslog-ng be installed: syslog-ng's packages are unpacked into the cache instead.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from wardwatch.testing.maven import CACHE
from wardwatch.testing.peers import missing, program

_RSYSLOG = 'global(workDirectory="{folder}" maxMessageSize="1m" parser.escapeControlCharactersOnReceive="off")\n'
_SYSLOG_NG = "@version: 3.38\noptions { log-msg-size(1048576); stats-freq(0); };\n"
_PACKAGES = ("syslog-ng-core", "syslog-ng-mod-http")
_LIBRARIES = "libivykis0 libnet1 libglib2.0-0 libjson-c5 libpcre3 libwrap0"


class SyslogPeer:
    """A syslog daemon in the foreground: ``with rsyslog(folder, config) as peer`` starts it."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self._command = command
        self._environment = os.environ | environment
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, again on the same folder."""
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(  # noqa: S603 our own command
                self._command, stdout=console, stderr=subprocess.STDOUT, env=self._environment, cwd=self.folder
            )

    def stop(self) -> None:
        """End it as a service manager does: it writes its queues to disk."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def console(self) -> str:
        """Return what it said."""
        return (self.folder / "console.log").read_text("utf-8", "replace")


def rsyslog(folder: Path, config: str) -> SyslogPeer:
    """Return an rsyslog with ``config`` in RainerScript; skips the test where it is not installed."""
    path = _written(folder, "rsyslog.conf", _RSYSLOG.format(folder=folder) + config)
    command = [program("rsyslogd", "rsyslog"), "-n", "-f", str(path), "-i", str(folder / "pid")]
    return SyslogPeer(command, folder, {})


def syslog_ng(folder: Path, config: str) -> SyslogPeer:
    """Return a syslog-ng with ``config`` in its language; skips the test where it can't be had."""
    root = _unpacked()
    path = _written(folder, "syslog-ng.conf", _SYSLOG_NG + config)
    modules = next((root / "usr" / "lib" / "syslog-ng").glob("*.*"))
    places = {"persist-file": "persist", "pidfile": "pid", "control": "control"}
    command = [
        *(str(root / "usr" / "sbin" / "syslog-ng"), "--foreground", "--no-caps", "--cfgfile", str(path)),
        *(f"--{name}={folder / place}" for name, place in places.items()),
        f"--module-path={modules}",
    ]
    return SyslogPeer(command, folder, {"LD_LIBRARY_PATH": str(modules.parent)})


def _written(folder: Path, name: str, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def _unpacked() -> Path:
    """Return the folder of syslog-ng's unpacked packages; fetches them from the machine's Debian mirror once."""
    root = CACHE / "syslog-ng"
    if root.exists():
        return root
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        missing(f"syslog-ng can't be fetched: apt-get download {' '.join(_PACKAGES)} needs Debian")
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        download = ["apt-get", "download", "--quiet", *_PACKAGES]
        if not (_runs(download, place) or (_runs(["apt-get", "update", "--quiet"], place) and _runs(download, place))):
            missing(f"apt-get download {' '.join(_PACKAGES)} failed; its libraries: apt-get install {_LIBRARIES}")
        part = Path(place) / "root"
        for package in Path(place).glob("*.deb"):
            subprocess.run(["dpkg-deb", "--extract", package, part], check=True)  # noqa: S603, S607
        part.rename(root)
    return root


def _runs(command: Sequence[str], folder: str) -> bool:
    return subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode == 0  # noqa: S603
