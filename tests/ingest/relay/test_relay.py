"""What a relay takes, from whom, and what it answers: a real relay process, and Kafka behind it."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import lz4.frame
import msgspec
import pytest

from tests.ingest.relay.running import Provider, Stage, limit_records
from wardwatch import topics
from wardwatch.bus import open_bus
from wardwatch.bus.relay import Relay, wire
from wardwatch.errors import BusRefused, BusUnavailable, RecordError, SettingsError
from wardwatch.settings import BusAccessSettings
from wardwatch.testing.certificates import Authority
from wardwatch.testing.ports import free_port, wait_until

pytestmark = pytest.mark.kafka
BATCH = [wire.WireRecord("events.renai", b"{}")]


@pytest.fixture(scope="module")
def provider(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Provider:
    return Provider(tmp_path_factory.mktemp("provider"), kafka)


@pytest.fixture(scope="module")
def relay(provider: Provider) -> Iterator[Stage]:
    with provider.relay() as stage:
        wait_until(stage.ready, what="relay")
        yield stage


@pytest.fixture
def tenant() -> str:
    return "t" + uuid4().hex[:12]


@pytest.mark.usefixtures("relay")
def test_records_arrive_on_the_bus_as_they_were_sent(provider: Provider, tenant: str) -> None:
    outlet = provider.outlet(tenant)
    outlet.ensure_topics(topics.of_tenant(tenant))
    producer = outlet.producer()
    topic = topics.events(tenant).name
    producer.send(topic, b"\xff\x00", key="钥匙", headers={"source": "his", "名": "值"})
    producer.send(topic, None, key="gone")
    producer.flush()
    producer.close()
    found = {record.key: record for record in provider.records(topic)}
    assert (found["钥匙"].value, found["钥匙"].headers) == (b"\xff\x00", {"source": "his", "名": "值"})
    assert found["gone"].value is None


@pytest.mark.usefixtures("relay")
def test_more_than_a_batch_is_sent_in_several_and_keeps_its_order(provider: Provider, tenant: str) -> None:
    producer = provider.outlet(tenant).producer()
    topic = topics.events(tenant).name
    values = [b"%05d" % number + bytes(1000) for number in range(3 * wire.BATCH_BYTES // 1000)]
    for value in values:
        producer.send(topic, value, key="same")
    producer.flush()
    producer.close()
    assert [record.value for record in provider.records(topic)] == values


def test_the_tenant_is_that_of_the_certificate_and_another_tenants_topic_is_refused_and_counted(
    provider: Provider, relay: Stage, tenant: str
) -> None:
    outlet = provider.outlet(tenant)
    with pytest.raises(BusRefused, match=f"our certificate is that of {tenant}, which may not write to deadletter"):
        outlet.ensure_topics(topics.of_tenant("zhongxin"))
    producer = outlet.producer()
    producer.send(topics.events(tenant).name, b"mine")
    producer.send("events.zhongxin", b"not mine")
    with pytest.raises(BusRefused, match=f"403: {tenant} may not write to events.zhongxin"):
        producer.flush()
    producer.close()
    assert provider.records(topics.events(tenant).name) == []
    assert f'wardwatch_relay_refused_total{{status="403",tenant="{tenant}"}} 1.0' in relay.metrics()


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize("topic", ["tables", "matches", "alerts", "workers", "deadletter.unknown"])
def test_no_collector_writes_to_a_topic_that_all_share(provider: Provider, tenant: str, topic: str) -> None:
    producer = provider.outlet(tenant).producer()
    producer.send(topic, b"{}")
    with pytest.raises(BusRefused, match="may not write to"):
        producer.flush()
    producer.close()


@pytest.mark.usefixtures("relay")
@pytest.mark.parametrize(
    ("whose", "reason"),
    [
        ("expired", "CERTIFICATE_EXPIRED"),
        ("alien", "UNKNOWN_CA"),
        ("misled", "CERTIFICATE_VERIFY_FAILED"),
        ("nameless", "403: the certificate's common name is no tenant"),
        ("unknown", "403: the certificate's common name is no tenant"),
    ],
)
def test_a_certificate_that_is_not_a_hospitals_is_refused_by_its_reason(
    provider: Provider, tmp_path: Path, whose: str, reason: str
) -> None:
    ours, other = provider.authority, Authority(tmp_path, "other")
    pairs = {
        "expired": ours.issue("renai", days=-1, file="expired"),
        "alien": other.issue("renai"),
        "misled": ours.issue("renai"),
        "nameless": ours.issue("Dr. No"),
        "unknown": ours.issue("unknown"),
    }
    access = provider.access(pairs[whose])
    if whose == "misled":
        access = access.model_copy(update={"authorities": other.path})
    with pytest.raises(BusRefused, match=reason):
        Relay(provider.url, access).ping()


@pytest.mark.usefixtures("relay")
def test_a_client_without_a_certificate_gets_no_answer_at_all(provider: Provider) -> None:
    context = ssl.create_default_context(cafile=str(provider.own.path))
    with (
        socket.create_connection(("127.0.0.1", provider.port)) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
    ):
        secure.sendall(b"GET /v1/tenant HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ssl.SSLError, match="CERTIFICATE_REQUIRED"):
            secure.recv(1)


@pytest.mark.usefixtures("relay")
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1:DeprecationWarning")
def test_tls_before_1_2_is_refused(provider: Provider) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", provider.port)) as plain, pytest.raises(ssl.SSLError):
        context.wrap_socket(plain)


def test_an_address_of_a_relay_needs_a_certificate_and_no_user(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="by certificate only"):
        Relay("https://relay.example:8443")
    with pytest.raises(SettingsError, match="no address of a relay"):
        Relay("https://user:password@relay.example:8443")
    with pytest.raises(SettingsError, match="takes records and gives none"):
        open_bus("https://relay.example:8443")
    (tmp_path / "a.pem").write_text("no PEM")
    with pytest.raises(SettingsError, match="no PEM that fits"):
        Relay("https://relay", BusAccessSettings(certificate=tmp_path / "a.pem", key=tmp_path / "a.pem"))


def frame(value: object) -> bytes:
    return bytes(lz4.frame.compress(msgspec.msgpack.encode(value)))


POISON = {
    "nothing": b"",
    "no frame": b"GET / HTTP/1.1",
    "half a frame": wire.pack(BATCH)[:-5],
    "two frames": wire.pack(BATCH) * 2,
    "a bomb": bytes(lz4.frame.compress(bytes(500 * 2**20))),
    "no array": frame({"topic": "events.renai"}),
    "an empty array": frame([]),
    "no records": frame([[1, 2, 3, 4]]),
    "nesting": bytes(lz4.frame.compress(b"\x91" * 100_000)),
    "a length that lies": bytes(lz4.frame.compress(b"\xdd\xff\xff\xff\xff")),
    "too many records": frame([["", None]] * (wire.BATCH_RECORDS + 1)),
    "too many headers": frame([["events.renai", None, None, {str(number): "" for number in range(1000)}]]),
    "bad text": bytes(lz4.frame.compress(b"\x91\x92\xa2\xff\xff\xc0")),
}


@pytest.mark.usefixtures("relay")
def test_what_is_no_batch_is_refused_and_the_next_goes_through(provider: Provider, tenant: str) -> None:
    with provider.client(tenant) as client:
        headers = {"Content-Type": wire.MEDIA_TYPE}
        answers = {name: client.post(wire.RECORDS, content=body, headers=headers) for name, body in POISON.items()}
        assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(POISON, 400)
        big = client.post(wire.RECORDS, content=bytes(wire.MAX_PACKED_BYTES + 1), headers=headers)
        assert big.status_code == 413
        assert client.post(wire.RECORDS, content=wire.pack(BATCH)).status_code == 415
        good = wire.pack([wire.WireRecord(topics.events(tenant).name, b"{}")])
        assert client.post(wire.RECORDS, content=good, headers=headers).json() == {"taken": 1}


@pytest.mark.usefixtures("relay")
def test_a_record_that_the_broker_refuses_is_told_apart_from_a_broker_that_is_away(
    provider: Provider, tenant: str
) -> None:
    limit_records(provider.bus, topics.events(tenant).name, 4000)
    producer = provider.outlet(tenant).producer()
    producer.send(topics.events(tenant).name, os.urandom(8000))
    with pytest.raises(RecordError, match="422: MessageSizeTooLarge"):
        producer.flush()
    producer.close()


@pytest.mark.usefixtures("relay")
def test_clients_that_are_slow_delay_no_other(provider: Provider, tenant: str) -> None:
    pair = provider.authority.issue("slow")
    context = ssl.create_default_context(cafile=str(provider.own.path))
    context.load_cert_chain(pair.certificate, pair.key)
    head = f"POST {wire.RECORDS} HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.MEDIA_TYPE}\r\nContent-Length: 1000\r\n\r\n"
    slow = []
    for _ in range(50):
        plain = socket.create_connection(("127.0.0.1", provider.port))
        secure = context.wrap_socket(plain, server_hostname="127.0.0.1")
        secure.sendall(head.encode() + b"x")
        slow.append(secure)
    silent = [socket.create_connection(("127.0.0.1", provider.port)) for _ in range(50)]
    producer = provider.outlet(tenant).producer()
    producer.send(topics.events(tenant).name, b"{}")
    producer.flush()
    producer.close()
    for each in [*slow, *silent]:
        each.close()


def test_while_the_bus_is_away_the_relay_says_when_to_come_again_and_its_health_says_why(tmp_path: Path) -> None:
    provider = Provider(tmp_path, f"kafka://127.0.0.1:{free_port()}")
    with provider.relay() as stage, provider.client("renai") as client:
        answer = client.post(wire.RECORDS, content=wire.pack(BATCH), headers={"Content-Type": wire.MEDIA_TYPE})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        with pytest.raises(BusUnavailable, match="503: "):
            provider.outlet("renai").ping()
        wait_until(lambda: not stage.parts().get("bus", {"ok": True})["ok"], what="health")
        assert stage.end() == 0
