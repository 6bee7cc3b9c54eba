"""A real rsyslog with a configuration and a folder of its own; it needs no rights."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Self

from wardwatch.testing.peers import program

_BASE = """\
global(workDirectory="{folder}" maxMessageSize="1m" net.enableDNS="off" parser.escapeControlCharactersOnReceive="off")
"""


class Rsyslog:
    """One rsyslogd; ``with Rsyslog(folder, config) as rsyslog`` starts it. ``config`` is in RainerScript."""

    def __init__(self, folder: Path, config: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._path = folder / "rsyslog.conf"
        self._path.write_text(_BASE.format(folder=folder) + config, "utf-8")
        self._command = [program("rsyslogd", "rsyslog"), "-n", "-f", str(self._path), "-i", str(folder / "pid")]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, again on the same folder."""
        with (self.folder / "console.log").open("ab") as console:
            self._process = subprocess.Popen(self._command, stdout=console, stderr=subprocess.STDOUT)  # noqa: S603

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
