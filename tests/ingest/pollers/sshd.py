"""OpenSSH's server for SFTP, as the user who runs the tests, and a server that lies."""

from __future__ import annotations

import getpass
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import paramiko
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from paramiko import common

from wardwatch.testing.peers import program
from wardwatch.testing.ports import free_port, wait_until

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/pid
UsePAM no
StrictModes no
PasswordAuthentication no
Subsystem sftp internal-sftp
"""


def write_key(path: Path, passphrase: str = "") -> str:
    """Write an OpenSSH private key and return its public one."""
    key = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, encryption))
    path.chmod(0o600)
    return key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@dataclass
class Server:
    """A server and what its client needs: the files of its key and of the user's."""

    port: int
    known_hosts: Path
    key: Path
    user: str
    process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        """End the server and its sessions with -9."""
        if self.process:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None


def start(server: Server, folder: Path) -> None:
    """Start OpenSSH on the server's port."""
    command = [program("sshd", "openssh-server"), "-D", "-e", "-f", str(folder / "config")]
    with (folder / "log").open("ab") as log:
        server.process = subprocess.Popen(command, stderr=log, start_new_session=True)

    def answers() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", server.port)) == 0 and probe.recv(4) == b"SSH-"

    wait_until(answers, what=f"sshd: {(folder / 'log').read_text('utf-8')}")


@contextmanager
def sshd(folder: Path, passphrase: str = "") -> Iterator[Server]:
    """Run OpenSSH's server with a key of its own."""
    folder.mkdir()
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where its unprivileged part lives
    port = free_port()
    (folder / "config").write_text(_CONFIG.format(port=port, folder=folder), "utf-8")
    host = write_key(folder / "host")
    (folder / "authorized").write_text(write_key(folder / "user", passphrase), "utf-8")
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n", "utf-8")
    server = Server(port, folder / "known_hosts", folder / "user", getpass.getuser())
    start(server, folder)
    try:
        yield server
    finally:
        server.kill()


class Lies(paramiko.SFTPServerInterface):
    """What a hostile server may answer; tests override it."""


class _Login(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        right = (username, password) == ("his", "right")
        return common.AUTH_SUCCESSFUL if right else common.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return common.OPEN_SUCCEEDED


@contextmanager
def lying(folder: Path, lies: type[paramiko.SFTPServerInterface]) -> Iterator[Server]:
    """Run a server that takes user ``his`` with password ``right`` and answers SFTP with ``lies``."""
    host = write_key(folder / "host")
    key = paramiko.Ed25519Key(filename=str(folder / "host"))
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    transport = paramiko.Transport(connection)
                    transports.append(transport)
                    transport.add_server_key(key)
                    transport.set_subsystem_handler("sftp", paramiko.SFTPServer, lies)
                    with suppress(paramiko.SSHException, EOFError):
                        transport.start_server(server=_Login())

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}\n", "utf-8")
        try:
            yield Server(port, folder / "known_hosts", folder / "user", "his")
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()
            for transport in transports:
                transport.close()
