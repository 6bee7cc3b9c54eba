"""A broker that asks who we are and checks what we may: TLS, client certificates, passwords, rights."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from kafka import KafkaAdminClient
from kafka.admin import UserScramCredentialUpsertion
from pydantic import SecretStr

from ingest.pollers.kafka import place_of
from wardwatch import topics
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import BusRefused, SettingsError
from wardwatch.settings import BusAccessSettings, SourceSettings, load
from wardwatch.testing.certificates import Authority, Pair
from wardwatch.testing.kafka import SecureKafkaServer
from wardwatch.testing.ports import free_port, wait_until

pytestmark = pytest.mark.kafka
OWN = topics.of_tenant("renai")
OTHERS = topics.of_tenant("zhongxin")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory, kafka: str) -> Iterator[tuple[SecureKafkaServer, list[int]]]:
    """Give a broker that knows two hospitals, and the lag of a group there before any group had ever joined."""
    del kafka  # where it can't run, neither can this one
    with SecureKafkaServer(Authority(tmp_path_factory.mktemp("authority"))) as server:
        admin = open_bus(server.url)
        admin.ensure_topics(OTHERS)
        write(admin, OTHERS[0].name)
        lag = admin.lag("nobody", topics=[OTHERS[0].name])
        yield server, sorted(lag.values())


@pytest.fixture(scope="module")
def broker(started: tuple[SecureKafkaServer, list[int]]) -> SecureKafkaServer:
    """Give that broker; renai has been granted its own topics."""
    server = started[0]
    wardwatch(server.url, "init", "renai", "--principal", "User:CN=renai")
    return server


def test_where_no_group_has_ever_joined_nothing_is_committed(started: tuple[SecureKafkaServer, list[int]]) -> None:
    assert started[1] == [0, 0, 0, 0, 0, 1]


def wardwatch(bus: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"WARDWATCH_BUS": bus, "WARDWATCH_STORE": "sqlite:///:memory:"}
    return subprocess.run(
        [sys.executable, "-m", "wardwatch", *arguments], env=environment, capture_output=True, text=True, check=True
    )


def access(authority: Path, pair: Pair | None = None, **more: object) -> BusAccessSettings:
    files = {"certificate": pair.certificate, "key": pair.key} if pair else {}
    return BusAccessSettings.model_validate({"authorities": authority, **files, **more})


@pytest.fixture
def renai(broker: SecureKafkaServer) -> Bus:
    """Give the bus as renai's collector sees it, by its certificate."""
    own = access(broker.authority.path, broker.authority.issue("renai"))
    bus = open_bus(broker.tls_url, own)
    wait_until(lambda: OWN[0].name in bus.topics(), what="rights in force")
    return bus


def write(bus: Bus, topic: str, value: bytes = b"{}") -> None:
    producer = bus.producer()
    try:
        producer.send(topic, value)
        producer.flush()
    finally:
        producer.close()


def test_a_collector_may_write_to_the_topics_of_its_tenant_and_see_no_others(renai: Bus) -> None:
    renai.ensure_topics(OWN)
    for topic in OWN:
        write(renai, topic.name)
    assert set(renai.topics()) == {topic.name for topic in OWN}


@pytest.mark.parametrize("topic", [*(topic.name for topic in OTHERS), "tables", "matches", "alerts"])
def test_a_collector_is_refused_elsewhere(renai: Bus, topic: str) -> None:
    with pytest.raises(BusRefused, match=f"TopicAuthorizationFailedError: {topic}") as refused:
        write(renai, topic)
    assert "wardwatch init TENANT --principal" in refused.value.remedy
    assert not refused.value.permanent


def test_what_may_be_written_is_told_beforehand(renai: Bus) -> None:
    assert [renai.may_write(topic.name) for topic in OWN] == [True, True, True]
    assert {renai.may_write(topic.name) for topic in OTHERS} <= {False, None}


def test_a_topic_of_a_hospital_that_asks_for_a_certificate_is_reached_by_it(
    broker: SecureKafkaServer,
) -> None:
    own = access(broker.authority.path, broker.authority.issue("renai"))
    given = {"parser": "linux", "transport": "kafka", "url": f"{broker.tls_url}/{OTHERS[0].name}"}
    settings = SourceSettings.model_validate(
        {**given, "authorities": own.authorities, "certificate": own.certificate, "key": own.key}
    )
    bus, names = place_of(settings)
    assert names == (OTHERS[0].name,)
    wait_until(lambda: set(bus.topics()) == {topic.name for topic in OWN}, what="what this certificate may see")


def test_a_collector_may_read_nothing(renai: Bus) -> None:
    with pytest.raises(BusRefused, match="TopicAuthorizationFailed"):
        renai.reader([OWN[0].name]).poll(timeout_s=5)
    with pytest.raises(BusRefused, match="GroupAuthorizationFailed"):
        renai.consumer("archiver", topics=[OWN[0].name]).poll()


def test_topics_that_are_missing_are_named_where_they_may_not_be_made(renai: Bus) -> None:
    with pytest.raises(BusRefused, match=r"events\.xiehe, .*missing, or not ours to write"):
        renai.ensure_topics(topics.of_tenant("xiehe"))


@pytest.mark.parametrize(
    ("whose", "reason"),
    [
        ("nobody", "CERTIFICATE_REQUIRED"),
        ("expired", "CERTIFICATE_UNKNOWN"),  # what a broker in Java says of each that it does not trust
        ("alien", "CERTIFICATE_UNKNOWN"),
        ("misled", "CERTIFICATE_VERIFY_FAILED"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_refused_by_its_reason(
    broker: SecureKafkaServer, tmp_path: Path, whose: str, reason: str
) -> None:
    ours, other = broker.authority, Authority(tmp_path, "other")
    own = {
        "nobody": access(ours.path),
        "expired": access(ours.path, ours.issue("renai", days=-1, file="expired")),
        "alien": access(ours.path, other.issue("renai")),
        "misled": access(other.path, ours.issue("renai")),
    }
    with pytest.raises(BusRefused, match=reason):
        open_bus(broker.tls_url, own[whose]).ping()


def test_a_user_signs_in_by_scram_or_plain_and_a_wrong_password_is_refused(broker: SecureKafkaServer) -> None:
    admin = KafkaAdminClient(bootstrap_servers=broker.url.removeprefix("kafka://"))
    admin.alter_user_scram_credentials([UserScramCredentialUpsertion("xiehe", "SCRAM-SHA-512", "open sesame")])
    admin.close()

    def as_user(user: str, password: str, mechanism: str) -> Bus:
        own = access(broker.authority.path, user=user, password=SecretStr(password), mechanism=mechanism)
        return open_bus(broker.sasl_url, own)

    scram = as_user("xiehe", "open sesame", "SCRAM-SHA-512")
    scram.ping()
    as_user(broker.user, broker.password, "PLAIN").ping()
    with pytest.raises(BusRefused, match="invalid credentials") as refused:
        as_user("xiehe", "open barley", "SCRAM-SHA-512").ping()
    assert "barley" not in str(refused.value)


def test_records_travel_compressed_by_lz4(broker: SecureKafkaServer, renai: Bus) -> None:
    write(renai, topics.heartbeats("renai").name, b"lub-dub " * 100)
    segment = next(broker.data.glob("heartbeats.renai-0/*.log")).read_bytes()
    size = 0
    while size < len(segment):
        segment, size = segment[size:], 12 + int.from_bytes(segment[size + 8 : size + 12])
    assert int.from_bytes(segment[21:23]) & 0b111 == 3  # attributes of the last batch; protocol guide, "Record Batch"


@pytest.mark.parametrize("line", ['user = "renai"', 'password = "hush"', 'certificate = "a.pem"', 'key = "a.key"'])
def test_half_of_what_belongs_together_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "site.toml").write_text(f"[bus_access]\n{line}\n")
    with pytest.raises(SettingsError, match=r"bus_access: .* belong together") as refused:
        load(tmp_path / "site.toml")
    assert "hush" not in str(refused.value)


def test_a_password_is_never_sent_without_tls() -> None:
    with pytest.raises(SettingsError, match="neither encrypted nor signed in"):
        open_bus("kafka://127.0.0.1:9092", BusAccessSettings(user="renai", password=SecretStr("hush")))


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("not PEM")
    with pytest.raises(SettingsError, match=r"bus_access\.authorities: .*ca\.pem"):
        open_bus("kafkas://127.0.0.1:9092", access(tmp_path / "ca.pem"))
    with pytest.raises(SettingsError, match=r"missing\.pem: No such file"):
        open_bus("kafkas://127.0.0.1:9092", access(tmp_path / "missing.pem"))


def test_a_principal_is_of_one_hospital_on_a_bus_that_has_some(broker: SecureKafkaServer, tmp_path: Path) -> None:
    def refusal(bus: str, *arguments: str) -> str:
        with pytest.raises(subprocess.CalledProcessError) as refused:
            wardwatch(bus, "init", *arguments)
        return str(refused.value.stderr)

    assert "name one tenant" in refusal(broker.url, "a", "b", "--principal", "User:CN=a")
    assert "a principal is User:NAME" in refusal(broker.url, "renai", "--principal", "CN=renai")
    assert "knows no principals" in refusal(f"sqlite:///{tmp_path}/bus.sqlite", "renai", "--principal", "User:a")


def test_a_collector_keeps_what_it_took_until_the_provider_grants_it_its_topics(
    broker: SecureKafkaServer, tmp_path: Path
) -> None:
    pair, port, listen = broker.authority.issue("xiehe"), free_port(), free_port()
    own = access(broker.authority.path, pair).model_dump(mode="json", exclude_defaults=True)
    source = {"parser": "linux", "transport": "tcp", "listen": f"127.0.0.1:{listen}"}
    environment = {
        "WARDWATCH_BUS": broker.tls_url,
        "WARDWATCH_BUS_ACCESS": json.dumps(own),
        "WARDWATCH_DATA_DIR": str(tmp_path),
        "WARDWATCH_HEALTH_PORT": str(port),
        "WARDWATCH_COLLECTOR__TENANT": "xiehe",
        "WARDWATCH_COLLECTOR__SOURCES": json.dumps([source]),
    }
    health = f"http://127.0.0.1:{port}/health"

    def parts() -> dict[str, Any]:
        with suppress(httpx.HTTPError):
            return dict(httpx.get(health, timeout=5, trust_env=False).json()["parts"])
        return {}

    command = [sys.executable, "-m", "wardwatch", "run", "collector"]
    collector = subprocess.Popen(command, env=os.environ | environment)
    try:
        wait_until(lambda: "spool" in parts(), what="collector")
        with socket.create_connection(("127.0.0.1", listen)) as sender:
            sender.sendall(b"<86>1 2026-03-01T02:11:00Z his sshd 9 - - Failed password for root from 10.3.1.1\n")
        wait_until(lambda: parts()["spool"]["waiting"] == 1, what="spooled")
        wait_until(lambda: "not ours to write" in parts().get("bus", {}).get("message", ""), what="refusal in health")
        wardwatch(broker.url, "init", "xiehe", "--principal", "User:CN=xiehe")
        wait_until(lambda: parts()["bus"]["ok"] and parts()["spool"]["waiting"] == 0, what="delivered")
        assert sum(open_bus(broker.url).end_offsets("events.xiehe").values()) == 1
    finally:
        collector.terminate()
        collector.wait()
