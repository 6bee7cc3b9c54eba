"""A real Kafka broker in one process (KRaft), on free loopback ports and in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Self
from uuid import uuid4

from wardwatch.bus.kafka import KafkaBus
from wardwatch.errors import BusUnavailable
from wardwatch.testing.maven import CACHE, fetch, java
from wardwatch.testing.ports import free_port, wait_until

_POM = Path(__file__).parents[2] / "tests" / "servers" / "pom.xml"
_START_S = 60.0
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""


class KafkaServer:
    """Starts on entering and is gone, with its data, on leaving; raises SettingsError without Maven or a JDK 17."""

    def __init__(self) -> None:
        jars = fetch(CACHE / "kafka-4.3.0", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime")
        self._java = [str(java(17) / "bin" / "java"), "-Xmx512m", "-cp", f"{jars}/*"]
        self._folder = Path(tempfile.mkdtemp(prefix="wardwatch-kafka-"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        properties = _PROPERTIES.format(broker=self._port, controller=free_port(), folder=self._folder)
        self._config = self._folder / "server.properties"
        self._config.write_text(properties, "utf-8")
        self.url = f"kafka://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        try:
            self._format()
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start on the same ports and data; return when the broker answers a request."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 arguments are constants of this package
                [*self._java, "kafka.Kafka", str(self._config)],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                env=os.environ | {"LC_ALL": "C"},
            )
        wait_until(self._answers, timeout_s=_START_S, what=f"Kafka on {self.url}")

    def kill(self) -> None:
        """End the broker with -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Freeze the broker: its sockets stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the broker and delete its data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"Kafka ended: {(self._folder / 'log').read_text('utf-8', 'replace')[-2000:]}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self._port)):
                return False
        try:
            KafkaBus(self.url).ping()
        except BusUnavailable:
            return False
        return True

    def _format(self) -> None:
        identifier = urlsafe_b64encode(uuid4().bytes).decode().strip("=").replace("-", "_")
        arguments = ["kafka.tools.StorageTool", "format", "-t", identifier, "-c", str(self._config)]
        done = subprocess.run([*self._java, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 as above
        if done.returncode:
            raise RuntimeError(f"StorageTool failed: {(done.stdout + done.stderr)[-2000:]}")
