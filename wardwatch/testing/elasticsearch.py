"""A real Elasticsearch in a temporary folder: the distribution that its own integration tests use."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Self

import httpx

from wardwatch.errors import SettingsError
from wardwatch.testing.maven import CACHE, fetch, java
from wardwatch.testing.ports import free_port, wait_until

VERSION = "9.3.2"
_NOBODY = 65534  # Elasticsearch refuses to run as root
_START_S = 240.0

_SETTINGS = """\
cluster.name: wardwatch-test
discovery.type: single-node
http.host: 127.0.0.1
http.port: {http}
transport.host: 127.0.0.1
transport.port: {transport}
node.store.allow_mmap: false
cluster.routing.allocation.disk.threshold_enabled: false
xpack.security.enabled: false
path.data: {data}
path.logs: {logs}
"""


class ElasticsearchServer:
    """One node on a free port of loopback.

    ``with ElasticsearchServer() as server`` starts it and removes its folder at the end. Raises SettingsError when
    it can't be fetched or run on this machine.
    """

    def __init__(self, version: str = VERSION, *, heap: str = "512m") -> None:
        self._version = version
        self._heap = heap
        self._root = Path(tempfile.mkdtemp(prefix="wardwatch-es-"))
        self._process: subprocess.Popen[bytes] | None = None
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        try:
            self._unpack()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    def start(self) -> None:
        """Start the node, again on the same data, and wait until its shards are ready."""
        with (self._root / "console.log").open("ab") as console:
            self._process = subprocess.Popen(  # noqa: S603 our own command
                [*_unprivileged(), str(self._home / "bin" / "elasticsearch")],
                stdout=console,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                start_new_session=True,
            )
        try:
            wait_until(self._ready, timeout_s=_START_S, what="Elasticsearch's health")
        except TimeoutError as error:
            raise SettingsError(f"{error}: {self._said()}", step="test servers") from None

    def kill(self) -> None:
        """End the node at once, as ``kill -9`` does."""
        self._signal(signal.SIGKILL)
        self._wait()

    def pause(self) -> None:
        """Freeze the node: connections stay open and nothing answers."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen node go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End the node, waiting for it."""
        if self._process is not None and self._process.poll() is None:
            self._signal(signal.SIGCONT)
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
        self._wait()

    @property
    def _home(self) -> Path:
        return self._root / f"elasticsearch-{self._version}"

    def _unpack(self) -> None:
        artifact = f"org.elasticsearch.distribution.integ-test-zip:elasticsearch:{self._version}:zip"
        folder = fetch(CACHE / f"elasticsearch-{self._version}", "dependency:copy", f"-Dartifact={artifact}")
        with zipfile.ZipFile(next(folder.glob("*.zip"))) as archive:
            archive.extractall(self._root)
        places = {name: self._root / name for name in ("data", "logs", "tmp")}
        for place in places.values():
            place.mkdir()
        for program in [*(self._home / "bin").iterdir(), *(self._home / "lib").rglob("controller")]:
            program.chmod(0o755)
        settings = _SETTINGS.format(http=self._port, transport=free_port(), data=places["data"], logs=places["logs"])
        (self._home / "config" / "elasticsearch.yml").write_text(settings)
        if _unprivileged():
            _give_away(self._root)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._root),
            "ES_JAVA_HOME": str(java(21)),
            "ES_JAVA_OPTS": f"-Xms{self._heap} -Xmx{self._heap}",
            "ES_TMPDIR": str(self._root / "tmp"),
        }

    def _ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise SettingsError(f"Elasticsearch ended at start: {self._said()}", step="test servers")
        try:
            answer = httpx.get(f"{self.url}/_cluster/health", params={"wait_for_status": "yellow"}, timeout=5)
        except httpx.HTTPError:
            return False
        return answer.status_code == httpx.codes.OK and not answer.json()["timed_out"]

    def _said(self) -> str:
        return (self._root / "console.log").read_text(errors="replace")[-2000:]

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(30)
            self._process = None


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise SettingsError("setpriv is not on PATH", step="test servers", remedy="install util-linux")
    return [setpriv, f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def _give_away(root: Path) -> None:
    for path in [root, *root.rglob("*")]:
        os.chown(path, _NOBODY, _NOBODY)
