"""A collector that reaches its provider by a relay: nothing it has acknowledged is lost, whoever is killed."""

from __future__ import annotations

import random
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from ingest.checks import Finding, check
from tests.ingest.relay.running import LINUX, Provider, Sender, drained, limit_records
from wardwatch import topics
from wardwatch.bus.relay import Relay
from wardwatch.errors import BusRefused
from wardwatch.settings import CollectorSettings, Settings, SourceSettings
from wardwatch.testing.peers import program
from wardwatch.testing.ports import free_port, wait_until

pytestmark = pytest.mark.kafka


@pytest.fixture
def provider(kafka: str, tmp_path: Path) -> Provider:
    return Provider(tmp_path, kafka)


@pytest.fixture
def tenant() -> str:
    return "t" + uuid4().hex[:12]


def test_killing_relay_and_collector_under_load_loses_and_doubles_no_event(provider: Provider, tenant: str) -> None:
    chance = random.Random(7)
    sender = Sender(free_port())
    with provider.relay() as relay, provider.collector(tenant, sender.listen) as collector:
        with sender.sending():
            for victim in chance.sample([relay, relay, relay, collector, collector, collector], 6):
                seen = sender.acknowledged + chance.randrange(100, 400)
                wait_until(lambda seen=seen: sender.acknowledged > seen, what="load")  # type: ignore[misc]
                victim.kill()
                victim.start()
        wait_until(lambda: drained(collector, sender.acknowledged), what="drained")
        ids = provider.event_ids(tenant)
        beats = provider.records(topics.heartbeats(tenant).name)
    assert sender.acknowledged > 600
    # a batch that was spooled, not acknowledged, and sent again, is one event with one id
    assert len(set(ids)) == sender.number
    assert beats


def test_while_the_relay_is_down_the_spool_keeps_and_then_goes_on_where_it_was(provider: Provider, tenant: str) -> None:
    sender = Sender(free_port())
    with provider.relay() as relay, provider.collector(tenant, sender.listen) as collector:
        sender.batch(10)
        wait_until(lambda: len(provider.event_ids(tenant)) == 10, what="first")
        relay.kill()
        sender.batch(30)
        wait_until(lambda: not collector.parts()["bus"]["ok"], what="health says so")
        wait_until(lambda: collector.parts()["spool"]["waiting"] == 30, what="kept")
        relay.start()
        wait_until(lambda: drained(collector, 40) and collector.parts()["bus"]["ok"], what="delivered")
        assert len(provider.event_ids(tenant)) == 40
        assert collector.end() == 0
        assert relay.end() == 0


def test_a_record_that_the_bus_refuses_becomes_a_dead_letter_and_the_others_arrive(
    provider: Provider, tenant: str
) -> None:
    limit_records(provider.bus, topics.events(tenant).name, 3000)
    sender = Sender(free_port())
    with provider.relay(), provider.collector(tenant, sender.listen) as collector:
        noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9000))
        long = f"<86>1 2026-03-01T02:11:00Z his-db-1 app 9 - - {noise}"
        lines = [LINUX % (number, number) for number in range(5)]
        answer = httpx.post(
            f"http://127.0.0.1:{sender.listen}/l",
            content="\n".join([*lines[:3], long, *lines[3:]]),
            headers={"Authorization": "Bearer t"},
            trust_env=False,
        )
        assert answer.status_code == 200
        wait_until(lambda: drained(collector, 6), what="settled")
    assert len(set(provider.event_ids(tenant))) == 5  # some twice: which one is refused only sending them singly tells
    (letter,) = provider.records(topics.deadletter(tenant).name)
    assert b"MessageSizeTooLarge" in (letter.value or b"")


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def proxy(folder: Path, *ports: int) -> Iterator[str]:
    """Run tinyproxy, which lets CONNECT pass to some ports only."""
    port, config = free_port(), folder / "proxy.conf"
    lines = [f"Port {port}", "Listen 127.0.0.1", "Allow 127.0.0.1", "LogLevel Connect"]
    config.write_text("\n".join([*lines, *(f"ConnectPort {each}" for each in ports)]) + "\n")
    with (folder / "proxy.log").open("ab") as log:
        process = subprocess.Popen([program("tinyproxy", "tinyproxy"), "-d", "-c", str(config)], stdout=log, stderr=log)
    try:
        wait_until(lambda: answers(port), what="proxy")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def test_events_travel_through_a_proxy_that_only_connects(provider: Provider, tenant: str) -> None:
    sender = Sender(free_port())
    with (
        proxy(provider.folder, provider.port) as address,
        provider.relay(),
        provider.collector(tenant, sender.listen, proxy=address) as collector,
    ):
        sender.batch(10)
        wait_until(lambda: len(provider.event_ids(tenant)) == 10, what="delivered")
        assert f"CONNECT 127.0.0.1:{provider.port}" in (provider.folder / "proxy.log").read_text()
        assert collector.end() == 0


def test_a_proxy_that_does_not_let_us_through_is_named(provider: Provider) -> None:
    with proxy(provider.folder, 1) as address:
        outlet = Relay(provider.url, provider.access(provider.authority.issue("renai"), address))
        with pytest.raises(BusRefused, match="proxy: 403"):
            outlet.ping()


def site(provider: Provider, tenant: str, name: str, days: float = 90) -> Settings:
    source = SourceSettings(parser="linux", transport="tcp", listen=f"127.0.0.1:{free_port()}")
    access = provider.access(provider.authority.issue(name, days=days))
    collector = CollectorSettings(tenant=tenant, sources=(source,))
    return Settings(data_dir=provider.folder, bus=provider.url, bus_access=access, collector=collector, health_port=1)


def test_the_check_of_a_site_knows_its_relay_and_the_certificate(provider: Provider, tenant: str) -> None:
    def states(settings: Settings, part: str) -> list[tuple[str, str]]:
        found: list[Finding] = [each for each in check(settings) if each.part == part]
        return [(each.state, each.message) for each in found]

    ((state, message),) = states(site(provider, tenant, tenant), "bus")
    assert (state, message) == ("FAILS", "[Errno 111] Connection refused")
    with provider.relay() as relay:
        wait_until(relay.ready, what="relay")
        good = site(provider, tenant, tenant)
        assert states(good, "bus") == [("ok", f"{provider.url} answers")]
        assert states(good, "bus certificate")[0][0] == "ok"
        assert states(site(provider, tenant, tenant, days=10), "bus certificate")[0][0] == "warning"
        ((state, message),) = states(site(provider, tenant, "zhongxin"), "bus certificate")
        assert (state, message) == ("FAILS", f"it is zhongxin's, the settings say {tenant}")
