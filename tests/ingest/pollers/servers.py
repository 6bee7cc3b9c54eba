"""Real PostgreSQL and MariaDB servers on free loopback ports, in temporary folders and without rights."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import psycopg
import pymysql

from wardwatch.demo.stand import write_certificate
from wardwatch.testing.peers import program
from wardwatch.testing.ports import free_port, wait_until

USER = "his"
PASSWORD = "hush-hush-7"
_NOBODY = 65534
_SILENT: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}


class Server:
    """A database server that a test may kill, freeze and start again on its data; ``his`` owns the database ``his``."""

    scheme = ""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="wardwatch-db-"))
        self._folder.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(self._folder, _NOBODY, _NOBODY)
        self.certificate, self._key = write_certificate(self._folder / "tls")
        if os.geteuid() == 0:
            for path in (self._key, self._key.parent):
                os.chown(path, _NOBODY, _NOBODY)
        self.port = free_port()
        self.url = f"{self.scheme}://127.0.0.1:{self.port}/his"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self._create()
            self.start()
            self._prepare()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        self._process = subprocess.Popen([*_unprivileged(), *self._command()], cwd=self._folder, **_SILENT)
        wait_until(self._answers, timeout_s=60, what=self.url)

    def kill(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGKILL)
            self._process.wait()
            self._process = None

    def signal(self, number: signal.Signals) -> None:
        """Signal the server and, as PostgreSQL has one for each connection, its children; wait for those that stop."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        processes = (self._process.pid, *map(int, children))
        for process in processes:
            os.kill(process, number)
        if number == signal.SIGSTOP:
            wait_until(lambda: all(_stopped(process) for process in processes), what="a stopped server")

    def execute(self, *statements: str, **values: Any) -> None:
        """Run and commit statements as the owner."""
        with self.connection() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement, values or None)
            connection.commit()

    def connection(self) -> Any:
        raise NotImplementedError

    def _run(self, *command: str) -> None:
        done = subprocess.run([*_unprivileged(), *command], cwd=self._folder, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"{self.scheme} ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0 and self._ready()

    def _create(self) -> None:
        raise NotImplementedError

    def _command(self) -> list[str]:
        raise NotImplementedError

    def _ready(self) -> bool:
        raise NotImplementedError

    def _prepare(self) -> None:
        """Make the database where ``_create`` has not."""


class PostgreSql(Server):
    scheme = "postgresql"

    def connection(self) -> Any:
        return self._connect("his")

    def _connect(self, database: str, **options: Any) -> Any:
        place = f"host=127.0.0.1 port={self.port} dbname={database} user={USER} password={PASSWORD} connect_timeout=5"
        return psycopg.connect(place, **options)

    def _create(self) -> None:
        secret = self._folder / "password"
        secret.write_text(PASSWORD)
        initdb = program("initdb", "postgresql")
        data = str(self._folder / "data")
        how = ("-A", "scram-sha-256", "--pwfile", str(secret), "-E", "UTF8", "--locale=C", "--no-sync")
        self._run(initdb, "-D", data, "-U", USER, *how)

    def _command(self) -> list[str]:
        where = ["-D", str(self._folder / "data"), "-p", str(self.port), "-k", str(self._folder)]
        options = (
            "listen_addresses=127.0.0.1",
            "ssl=on",
            f"ssl_cert_file={self.certificate}",
            f"ssl_key_file={self._key}",
        )
        named = [argument for option in options for argument in ("-c", option)]
        return [program("postgres", "postgresql"), *where, *named]

    def _ready(self) -> bool:
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def _prepare(self) -> None:
        with self._connect("postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE his")


class MariaDb(Server):
    scheme = "mysql"

    def connection(self) -> Any:
        return pymysql.connect(
            host="127.0.0.1", port=self.port, user=USER, password=PASSWORD, database="his", charset="utf8mb4"
        )

    def _create(self) -> None:
        install = program("mariadb-install-db", "mariadb-server")
        where = (f"--datadir={self._folder / 'data'}", "--auth-root-authentication-method=normal")
        self._run(install, "--no-defaults", "--skip-test-db", *where)
        (self._folder / "init.sql").write_text(
            "CREATE DATABASE IF NOT EXISTS his CHARACTER SET utf8mb4;\n"
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON his.* TO '{USER}'@'%';\n"
        )

    def _command(self) -> list[str]:
        options = {
            "datadir": self._folder / "data",
            "socket": self._folder / "socket",
            "pid-file": self._folder / "pid",
            "port": self.port,
            "bind-address": "127.0.0.1",
            "init-file": self._folder / "init.sql",
            "ssl-cert": self.certificate,
            "ssl-key": self._key,
        }
        server = program("mariadbd", "mariadb-server")
        return [
            server,
            "--no-defaults",
            "--skip-name-resolve",
            *(f"--{name}={value}" for name, value in options.items()),
        ]

    def _ready(self) -> bool:
        try:
            self.connection().close()
        except pymysql.MySQLError:
            return False
        return True


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return [program("setpriv", "util-linux"), f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"]


def _stopped(process: int) -> bool:
    """Tell whether every thread of a process has stopped (proc(5): the state behind the name)."""
    states = [stat.read_text().rpartition(") ")[2][0] for stat in Path(f"/proc/{process}/task").glob("*/stat")]
    return set(states) == {"T"}
