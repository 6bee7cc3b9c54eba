"""The demo's installation: a folder, certificates, two collectors' settings, seeded tables, and its processes."""

from __future__ import annotations

import datetime as dt
import ipaddress
import os
import secrets
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.demo.hospital import HOSPITALS, Hospital
from wardwatch.demo.senders import FileSender, HttpSender, MllpSender, Sender, TcpSender, UdpSender
from wardwatch.errors import SettingsError
from wardwatch.settings import Settings
from wardwatch.stage import ONE_MACHINE, health_port
from wardwatch.store import open_store
from wardwatch.supervisor import Spec, Supervisor
from wardwatch.tables import Tables, read_csv
from wardwatch.testing.ports import free_block

CONSOLE_PORT = 8480
HEALTH_PORT = 9600


@dataclass(frozen=True)
class User:
    """Somebody who can sign in to the demo's console."""

    name: str
    role: str
    tenants: tuple[str, ...] = ()
    password: str = field(default_factory=lambda: secrets.token_urlsafe(9))


@dataclass
class Site:
    """One hospital's collector: its ports, its settings file and its number as an instance."""

    hospital: Hospital
    instance: int
    folder: Path
    tokens: str
    ports: dict[str, int] = field(default_factory=dict)
    http_token: str = field(default_factory=lambda: secrets.token_urlsafe(24))

    @property
    def audit_log(self) -> Path:
        """The database's audit file, which the collector tails."""
        return self.folder / "mysql" / "server_audit.log"

    def write_settings(self) -> Path:
        """Choose ports, write certificate and settings, and return the settings file."""
        self.audit_log.parent.mkdir(parents=True, exist_ok=True)
        self.audit_log.touch()
        names = ("hl7v2", "dicom_audit", "windows", "linux", "huawei_usg", "huawei_usg_udp")
        self.ports.update(zip(names, count(free_block(len(names))), strict=False))
        certificate, key = write_certificate(self.folder)
        (self.folder / "tokens.key").write_bytes(b"demo".ljust(32, b"-"))
        (self.folder / "tokens.key").chmod(0o600)
        path = self.folder / "collector.toml"
        path.write_text(self._toml(certificate, key), "utf-8")
        return path

    def _toml(self, certificate: Path, key: Path) -> str:
        collector = f'[collector]\ntenant = "{self.hospital.tenant}"\ntokens = "{self.tokens}"\nheartbeat_s = 2.0\n'
        if self.tokens == "hmac":
            collector += f'token_key = "{self.folder / "tokens.key"}"\n'
        tls = f'certificate = "{certificate}"\nkey = "{key}"\n'
        http = f'path = "/windows"\ntoken = "{self.http_token}"\n'
        return collector + "".join(
            (
                self._source("hl7v2", "mllp"),
                self._source("dicom_audit", "tls", tls),
                self._source("windows", "http", http),
                self._source("linux", "tcp"),
                self._source("huawei_usg", "tcp"),
                self._source("huawei_usg", "udp", port=self.ports["huawei_usg_udp"]),
                f'[[collector.sources]]\nparser = "mysql_audit"\ntransport = "file"\npath = "{self.audit_log}"\n',
            )
        )

    def _source(self, parser: str, transport: str, more: str = "", port: int | None = None) -> str:
        listen = f'listen = "127.0.0.1:{port or self.ports[parser]}"\n'
        return f'[[collector.sources]]\nparser = "{parser}"\ntransport = "{transport}"\n{listen}{more}'


class Stand:
    """Everything the demo starts, in one folder."""

    def __init__(self, settings: Settings, folder: Path, *, once: bool) -> None:
        self.folder = folder.absolute()
        self.base_port = free_block(20) if once else HEALTH_PORT
        self.console_port = free_block(1) if once else CONSOLE_PORT
        self.settings = settings.model_copy(update={"data_dir": self.folder, "health_port": self.base_port})
        tokens = "hmac" if once else "vault"
        self.sites = [
            Site(hospital, number, self.folder / hospital.tenant, tokens) for number, hospital in enumerate(HOSPITALS)
        ]
        self.users = [
            User("lin", "analyst"),
            User("admin", "admin"),
            User("zhou", "viewer", ("zhongxin",)),
        ]
        self.stopping = threading.Event()

    @contextmanager
    def running(self) -> Iterator[Supervisor]:
        """Prepare, start every process, and stop them at the end."""
        self.prepare()
        supervisor = Supervisor(self.specs(), log_file=self.folder / "stages.log")
        supervisor.start()
        try:
            yield supervisor
        finally:
            self.stopping.set()
            supervisor.stop()

    def prepare(self) -> None:
        """Create topics, tables and users; raises Unavailable when bus or store do not answer."""
        self.folder.mkdir(parents=True, exist_ok=True)
        bus, store = open_bus(self.settings.bus_url, self.settings.bus_access), open_store(self.settings.store_url)
        tenants = [site.hospital.tenant for site in self.sites]
        bus.ensure_topics([*topics.shared(), *(topic for name in tenants for topic in topics.of_tenant(name))])
        store.setup()
        tables = Tables(bus)
        for site in self.sites:
            hospital = site.hospital
            name = {"en": hospital.name_en, "zh": hospital.name_zh}
            tables.put("tenants", "", hospital.tenant, {"name": name, "zone": str(hospital.zone)})
            site.folder.mkdir(parents=True, exist_ok=True)
            inventory = site.folder / "assets.csv"
            inventory.write_text(hospital.inventory(), "utf-8")
            tables.put_rows("assets", hospital.tenant, read_csv(inventory))
        tables.close()
        store.close()
        bus.close()
        for user in self.users:
            self._add_user(user)

    def specs(self) -> list[Spec]:
        """Return the processes: a collector per hospital and one of each other stage."""
        common = self.environment()
        collectors = [Spec("collector", site.instance, site.write_settings(), common) for site in self.sites]
        return [*collectors, *(Spec(name, environment=common) for name in ONE_MACHINE)]

    def environment(self) -> Mapping[str, str]:
        """Return the environment of every process."""
        return {
            "WARDWATCH_DATA_DIR": str(self.folder),
            "WARDWATCH_BUS": self.settings.bus_url,
            "WARDWATCH_STORE": self.settings.store_url,
            "WARDWATCH_HEALTH_PORT": str(self.base_port),
            "WARDWATCH_CONSOLE__LISTEN": f"127.0.0.1:{self.console_port}",
            "WARDWATCH_CONSOLE__SECURE_COOKIES": "false",
            "WARDWATCH_ALERTER__CONSOLE_URL": f"http://127.0.0.1:{self.console_port}",
        }

    def senders(self, site: Site) -> dict[str, Sender]:
        """Return a client for each listener of the site."""

        def generation() -> str | None:
            health = self.health("collector", site.instance)
            return str(health["started"]) if health else None

        trust = ssl.create_default_context(cafile=str(site.folder / "collector.pem"))
        ports, stopping = site.ports, self.stopping
        return {
            "hl7v2": MllpSender(ports["hl7v2"], stopping),
            "dicom_audit": TcpSender(ports["dicom_audit"], stopping, generation, tls=trust),
            "windows": HttpSender(f"http://127.0.0.1:{ports['windows']}/windows", site.http_token, stopping),
            "linux": TcpSender(ports["linux"], stopping, generation),
            "huawei_usg": TcpSender(ports["huawei_usg"], stopping, generation, octet_counting=False),
            "huawei_usg_udp": UdpSender(ports["huawei_usg_udp"]),
            "mysql_audit": FileSender(site.audit_log),
        }

    def health(self, stage: str, instance: int = 0) -> dict[str, Any] | None:
        """Return what the stage's health page says, or None while it does not answer."""
        try:
            port = health_port(self.settings, stage, instance)
            answer: dict[str, Any] = httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False).json()
        except (httpx.HTTPError, ValueError):
            return None
        return answer if answer.get("stage") == stage else None

    def ready(self) -> bool:
        """Tell whether every process answers and every part of it works."""
        states = [self.health("collector", site.instance) for site in self.sites]
        states += [self.health(name) for name in ONE_MACHINE]
        return all(state is not None and state["ok"] and state["parts"] for state in states)

    def _add_user(self, user: User) -> None:
        tenants = [part for tenant in user.tenants for part in ("--tenant", tenant)]
        command = [
            sys.executable,
            "-m",
            "wardwatch",
            "users",
            "add",
            user.name,
            "--role",
            user.role,
            "--replace",
            *tenants,
        ]
        done = subprocess.run(  # noqa: S603 our own interpreter and module
            command,
            env={**os.environ, **self.environment()},
            input=f"{user.password}\n",
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SettingsError(done.stderr.strip()[-500:], step="demo", record=f"user {user.name}")


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a self-signed certificate for localhost and its key; return both paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    chain, secret = folder / "collector.pem", folder / "collector.key"
    chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.touch(0o600)
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return chain, secret
