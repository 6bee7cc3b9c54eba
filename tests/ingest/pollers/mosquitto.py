"""Eclipse Mosquitto, a broker that keeps its sessions on disk, and its publishing client."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from wardwatch.testing.peers import program
from wardwatch.testing.ports import free_port, wait_until

_CONFIG = """\
listener {port} 127.0.0.1
persistence true
persistence_location {folder}/
max_queued_messages 0
allow_anonymous {anonymous}
{more}
"""


@dataclass
class Broker:
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on the same port and with the sessions of before."""
        with (self.folder / "log").open("ab") as log:
            command = [program("mosquitto", "mosquitto"), "-v", "-c", str(self.folder / "config")]
            before = self.log().count(" running")
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: self.log().count(" running") > before, what="mosquitto")

    def stop(self) -> None:
        """End the broker in order."""
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None

    def kill(self) -> None:
        """End the broker with -9."""
        if self.process:
            self.process.kill()
        self.stop()

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8")

    def publish(self, topic: str, payloads: Sequence[bytes], *options: str) -> None:
        """Publish each payload at QoS 1; return when the broker has all."""
        command = [program("mosquitto_pub", "mosquitto-clients"), "-p", str(self.port), "-q", "1", "-t", topic, "-l"]
        subprocess.run([*command, *options], input=b"\n".join(payloads) + b"\n", check=True, timeout=60)


@contextmanager
def mosquitto(folder: Path, more: str = "", *, anonymous: bool = True) -> Iterator[Broker]:
    """Run a broker with these lines of settings more."""
    folder.mkdir()
    if os.geteuid() == 0:
        more = f"user root\n{more}"  # else it becomes a user who can't read the test's folder
    broker = Broker(folder, free_port())
    text = _CONFIG.format(port=broker.port, folder=folder, anonymous=str(anonymous).lower(), more=more)
    (folder / "config").write_text(text, "utf-8")
    (folder / "log").touch()
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()
