"""A real Kafka broker in one process (KRaft), on free loopback ports and in a temporary folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from pathlib import Path
from typing import Self
from uuid import uuid4

from wardwatch.bus.kafka import KafkaBus
from wardwatch.errors import BusUnavailable
from wardwatch.testing.certificates import Authority
from wardwatch.testing.maven import CACHE, fetch, java
from wardwatch.testing.ports import free_port, wait_until

_POM = Path(__file__).parents[2] / "tests" / "servers" / "pom.xml"
_START_S = 60.0
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}{doors}
advertised.listeners=PLAINTEXT://127.0.0.1:{broker}{doors}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""
_SECURE = """\
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location={server}
ssl.truststore.type=PEM
ssl.truststore.location={authority}
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=\
 org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.plain.sasl.jaas.config=\
 org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
"""


class KafkaServer:
    """Starts on entering and is gone, with its data, on leaving; raises SettingsError without Maven or a JDK 17.

    ``more`` are further properties, ``doors`` the ports of further listeners by their name.
    """

    def __init__(self, more: str = "", doors: Mapping[str, int] = {}) -> None:
        jars = fetch(CACHE / "kafka-4.3.0", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime")
        self._java = [str(java(17) / "bin" / "java"), "-Xmx512m", "-cp", f"{jars}/*"]
        self._folder = Path(tempfile.mkdtemp(prefix="wardwatch-kafka-"))
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        properties = _PROPERTIES.format(
            broker=self._port,
            controller=free_port(),
            folder=self._folder,
            doors="".join(f",{name}://127.0.0.1:{port}" for name, port in doors.items()),
        )
        self._config = self._folder / "server.properties"
        self._config.write_text(properties + more, "utf-8")
        self.url = f"kafka://127.0.0.1:{self._port}"
        self.data = self._folder / "data"

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


class SecureKafkaServer(KafkaServer):
    """A broker that checks certificates, passwords and rights (StandardAuthorizer).

    ``url`` is the door of its administrator, who needs no password; ``tls_url`` asks for a certificate of
    ``authority``; at ``sasl_url`` the user may sign in by PLAIN, and by SCRAM whoever was given a password for it.
    """

    user, password = "zhongxin", "a-password"

    def __init__(self, authority: Authority) -> None:
        ports = {"SSL": free_port(), "SASL_SSL": free_port()}
        own = {"server": authority.issue("broker").both, "authority": authority.path}
        super().__init__(_SECURE.format(user=self.user, password=self.password, **own), ports)
        self.authority = authority
        self.tls_url = f"kafkas://127.0.0.1:{ports['SSL']}"
        self.sasl_url = f"kafkas://127.0.0.1:{ports['SASL_SSL']}"
