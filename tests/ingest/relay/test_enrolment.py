"""A collector is let in by a token that works once, renews its certificate, and is kept out once that is revoked."""

from __future__ import annotations

import json
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from cryptography import x509

from ingest.identity import Renewal
from ingest.relay import authority
from tests.ingest.relay.running import Stage
from wardwatch import topics
from wardwatch.bus import Producer
from wardwatch.bus.relay import Relay
from wardwatch.errors import BusRefused
from wardwatch.settings import BusAccessSettings
from wardwatch.stage import Runtime
from wardwatch.testing.ports import free_block, free_port, wait_until

pytestmark = pytest.mark.kafka


class Provider:
    """A provider whose relay enrols; commands run as its operator would."""

    def __init__(self, folder: Path, bus: str) -> None:
        self.folder = folder
        self.url = f"https://localhost:{free_port()}"
        command("enrol", "authority", str(folder / "tls"), "--host", "localhost")
        tls = folder / "tls"
        self.environment = {
            "WARDWATCH_BUS": bus,
            "WARDWATCH_DATA_DIR": str(folder / "data"),
            "WARDWATCH_RELAY__LISTEN": self.url.removeprefix("https://").replace("localhost", "127.0.0.1"),
            "WARDWATCH_RELAY__CERTIFICATE": str(tls / "relay.pem"),
            "WARDWATCH_RELAY__KEY": str(tls / "relay.key"),
            "WARDWATCH_RELAY__AUTHORITIES": str(tls / "authority.pem"),
            "WARDWATCH_RELAY__AUTHORITY_KEY": str(tls / "authority.key"),
        }
        self.relay = Stage("relay", self.environment, free_block(10) + 9, folder / "relay.log")

    def token(self, tenant: str, *more: str) -> str:
        return command("enrol", "create", tenant, *more, **self.environment).stdout.strip()


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "wardwatch", *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


@pytest.fixture(scope="module")
def provider(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    made = Provider(tmp_path_factory.mktemp("provider"), kafka)
    with made.relay:
        wait_until(made.relay.ready, what="relay")
        yield made


@pytest.fixture
def tenant() -> str:
    return "t" + uuid4().hex[:12]


def enrolled(provider: Provider, tenant: str, folder: Path) -> BusAccessSettings:
    done = command("collector", "enrol", provider.url, provider.token(tenant), WARDWATCH_DATA_DIR=str(folder))
    assert done.returncode == 0, done.stderr
    assert f"this is {tenant}'s collector" in done.stdout
    own = folder / "identity" / "identity.pem"
    return BusAccessSettings(authorities=folder / "identity" / "authorities.pem", certificate=own, key=own)


def serial(identity: Path) -> int:
    return x509.load_pem_x509_certificate(identity.read_bytes()).serial_number


def test_a_token_gives_a_certificate_by_which_the_collector_may_write_and_its_key_is_its_owners_only(
    provider: Provider, tmp_path: Path, tenant: str
) -> None:
    access = enrolled(provider, tenant, tmp_path)
    outlet = Relay(provider.url, access)
    outlet.ensure_topics(topics.of_tenant(tenant))
    assert access.certificate
    assert stat.S_IMODE(access.certificate.stat().st_mode) == 0o600
    assert f'"tenant": "{tenant}", "how": "enrolled"' in provider.relay.log.read_text()


def test_a_token_works_once_and_only_its_hash_is_kept(provider: Provider, tmp_path: Path, tenant: str) -> None:
    token = provider.token(tenant)
    first = command("collector", "enrol", provider.url, token, WARDWATCH_DATA_DIR=str(tmp_path / "a"))
    again = command("collector", "enrol", provider.url, token, WARDWATCH_DATA_DIR=str(tmp_path / "b"))
    assert (first.returncode, again.returncode) == (0, 1)
    assert "the token is unknown or was used" in again.stderr
    assert not (tmp_path / "b" / "identity" / "identity.pem").exists()
    assert token.partition(".")[0] not in provider.relay.log.read_text()


def test_a_token_that_is_too_old_is_refused(provider: Provider, tmp_path: Path, tenant: str) -> None:
    token = provider.token(tenant, "--hours", "0")
    done = command("collector", "enrol", provider.url, token, WARDWATCH_DATA_DIR=str(tmp_path))
    assert (done.returncode, "the token expired on" in done.stderr) == (1, True)


def test_another_server_in_place_of_the_relay_never_sees_the_token(
    provider: Provider, tmp_path: Path, tenant: str
) -> None:
    secret, _, pinned = provider.token(tenant).rpartition(".")
    wrong = f"{secret}.{'0' * len(pinned)}"
    done = command("collector", "enrol", provider.url, wrong, WARDWATCH_DATA_DIR=str(tmp_path))
    assert "shows an authority of another fingerprint" in done.stderr
    right = command("collector", "enrol", provider.url, f"{secret}.{pinned}", WARDWATCH_DATA_DIR=str(tmp_path))
    assert right.returncode == 0  # it was not used up


def test_a_certificate_with_less_than_a_third_of_its_time_is_renewed_with_a_new_key(
    provider: Provider, tmp_path: Path, tenant: str
) -> None:
    access = enrolled(provider, tenant, tmp_path)
    identity = access.certificate
    assert identity
    before, old = serial(identity), tmp_path / "old.pem"
    old.write_bytes(identity.read_bytes())
    renewal = Renewal(provider.url, access, identity, Runtime("collector"))
    assert renewal.look(datetime.now(UTC) + timedelta(days=59))
    assert serial(identity) == before
    producer = Relay(provider.url, access).producer()
    assert accepted(producer, tenant)
    assert renewal.look(datetime.now(UTC) + timedelta(days=61))
    assert serial(identity) != before
    assert "no serial number" in command("enrol", "revoke", tenant, "first", **provider.environment).stderr
    command("enrol", "revoke", tenant, f"0{before:X}", **provider.environment)
    wait_until(lambda: revoked(provider, access.model_copy(update={"certificate": old, "key": old})), what="revoked")
    # the connection of the old certificate is refused; the next one shows the new
    assert [accepted(producer, tenant) for _ in range(2)] == [False, True]
    producer.close()


def accepted(producer: Producer, tenant: str) -> bool:
    producer.send(topics.events(tenant).name, b"{}")
    try:
        producer.flush()
    except BusRefused:
        return False
    return True


def revoked(provider: Provider, access: BusAccessSettings) -> bool:
    try:
        Relay(provider.url, access).ping()
    except BusRefused as error:
        return "the certificate was revoked" in str(error)
    return False


def test_a_revoked_certificate_is_refused_also_for_its_own_renewal(
    provider: Provider, tmp_path: Path, tenant: str
) -> None:
    access = enrolled(provider, tenant, tmp_path)
    identity = access.certificate
    assert identity
    done = command("enrol", "revoke", tenant, **provider.environment)
    assert done.stdout.strip() == f"revoked {serial(identity):x}"
    wait_until(lambda: revoked(provider, access), what="revoked")
    runtime = Runtime("collector")
    assert not Renewal(provider.url, access, identity, runtime).look(datetime.now(UTC) + timedelta(days=80))
    assert "the certificate was revoked" in runtime.health()["parts"]["certificate"]["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"request": 1}',
        b'{"token": "x", "request": "no PEM"}',
        json.dumps({"token": "x", "request": "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END"}).encode(),
        b'{"token": "x", "request": "' + b"A" * 20_000 + b'"}',
    ],
    ids=["nothing", "array", "number", "no PEM", "half a PEM", "too long"],
)
def test_what_is_no_request_for_a_certificate_is_refused(provider: Provider, body: bytes) -> None:
    context = ssl.create_default_context(cafile=provider.environment["WARDWATCH_RELAY__AUTHORITIES"])
    with httpx.Client(base_url=provider.url, verify=context, trust_env=False) as client:
        assert client.post("/v1/enrol", content=body).status_code in (400, 413)
        good = authority.request_for(authority.new_key())
        assert client.post("/v1/enrol", json={"token": "guess", "request": good}).status_code == 403
        assert client.get("/v1/tenant").status_code == 401
        assert client.post("/v1/renew", json={"request": good}).status_code == 401


def test_a_hospitals_certificate_can_not_pose_as_the_relay(provider: Provider, tmp_path: Path, tenant: str) -> None:
    access = enrolled(provider, tenant, tmp_path)
    port, ours = free_port(), provider.environment["WARDWATCH_RELAY__AUTHORITIES"]
    environment = provider.environment | {
        "WARDWATCH_RELAY__LISTEN": f"127.0.0.1:{port}",
        "WARDWATCH_RELAY__CERTIFICATE": str(access.certificate),
        "WARDWATCH_RELAY__KEY": str(access.key),
    }
    impostor = Stage("relay", environment, free_block(10) + 9, tmp_path / "impostor.log")
    with impostor, pytest.raises(BusRefused, match="CERTIFICATE_VERIFY_FAILED"):
        Relay(f"https://localhost:{port}", access.model_copy(update={"authorities": Path(ours)})).ping()
