"""A real S3 server (S3Proxy, its objects in memory) on a free loopback port."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

from botocore.config import Config
from botocore.session import Session

from wardwatch.testing.maven import CACHE, fetch, java
from wardwatch.testing.ports import free_port, wait_until

_POM = Path(__file__).parents[2] / "tests" / "servers" / "s3" / "pom.xml"
_START_S = 60.0
_PROPERTIES = """\
s3proxy.endpoint=http://127.0.0.1:{port}
s3proxy.authorization=aws-v2-or-v4
s3proxy.identity={user}
s3proxy.credential={password}
jclouds.provider=transient
jclouds.identity=none
jclouds.credential=none
"""


class S3Server:
    """Starts on entering and is gone, with its objects, on leaving; raises SettingsError without Maven or a JDK 17."""

    user = "local-user"
    password = "local-password"  # noqa: S105 of a server that lives as long as a test

    def __init__(self) -> None:
        jars = fetch(CACHE / "s3proxy-3.0.0", "-f", str(_POM), "dependency:copy-dependencies", "-DincludeScope=runtime")
        self._port = free_port()
        self._folder = Path(tempfile.mkdtemp(prefix="wardwatch-s3-"))
        properties = _PROPERTIES.format(port=self._port, user=self.user, password=self.password)
        (self._folder / "properties").write_text(properties, "utf-8")
        self._command = [str(java(17) / "bin" / "java"), "-Xmx256m", "-cp", f"{jars}/*", "org.gaul.s3proxy.Main"]
        self.endpoint = f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 arguments are constants of this package
                [*self._command, "--properties", str(self._folder / "properties")], stdout=log, stderr=log
            )
        try:
            wait_until(self._answers, timeout_s=_START_S, what=f"S3 on {self.endpoint}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self) -> Any:
        """Return a client of botocore with all rights."""
        return Session().create_client(
            "s3",
            region_name="us-east-1",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.user,
            aws_secret_access_key=self.password,
            config=Config(s3={"addressing_style": "path"}, request_checksum_calculation="when_required"),
        )

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"S3Proxy ended: {(self._folder / 'log').read_text('utf-8', 'replace')[-2000:]}")
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._port)) == 0
