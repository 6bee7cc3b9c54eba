from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.checks import Finding, check
from tests.ingest.pollers.mosquitto import Broker, mosquitto
from tests.ingest.running import Running, dead_letters, events, on_bus, running, settings_of
from wardwatch import topics
from wardwatch.demo.stand import write_certificate
from wardwatch.errors import SettingsError
from wardwatch.settings import Settings, SourceSettings
from wardwatch.testing.peers import program
from wardwatch.testing.ports import free_port, wait_until


def message(number: int) -> bytes:
    """Return what a gateway of wristbands publishes."""
    return b'{"ts":%d,"gateway":"gw-3","event":"online","device":{"id":"band-%d"}}' % (1772302269120 + number, number)


def source(broker: Broker, topic: str = "ward/#", **more: Any) -> SourceSettings:
    values = {"parser": "iot_telemetry", "transport": "mqtt", "url": f"mqtt://127.0.0.1:{broker.port}/{topic}"}
    return SourceSettings.model_validate(values | more)


def accepted(site: Running, number: int, name: str = "iot_telemetry") -> None:
    wait_until(lambda: site.counts(name)[0] >= number and site.settled(), what=f"{number} records")
    assert site.counts(name)[0] == number


def subscribed(broker: Broker, times: int = 1) -> None:
    wait_until(lambda: broker.log().count("Sending SUBACK to wardwatch-renai-") >= times, what="subscription")


def devices(settings: Settings) -> list[str]:
    return sorted(event["device.id"] for event in events(settings))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with mosquitto(tmp_path / "broker") as found:
        yield found


def test_messages_that_come_while_the_collector_is_away_arrive_once_it_is_back(tmp_path: Path, broker: Broker) -> None:
    with running(tmp_path / "data", source(broker)) as site:
        subscribed(broker)
        broker.publish("ward/icu", [message(1), message(2)])
        broker.publish("kitchen", [message(3)])
        accepted(site, 2)
        wait_until(lambda: broker.log().count("Received PUBACK") == 2, what="acknowledgements")
    broker.publish("ward/icu", [message(number) for number in range(4, 304)])
    with running(tmp_path / "data", source(broker)) as site:
        accepted(site, 302)
        assert len({event["event.id"] for event in events(site.settings)}) == 302


@pytest.mark.parametrize("end", [Broker.stop, Broker.kill])
def test_a_broker_that_ends_is_shown_and_found_again(tmp_path: Path, broker: Broker, end: Any) -> None:
    """Killed with -9 it has lost its sessions: the collector subscribes anew."""
    with running(tmp_path / "data", source(broker)) as site:
        subscribed(broker)
        broker.publish("ward/icu", [message(1)])
        accepted(site, 1)
        end(broker)
        wait_until(lambda: site.listeners[0].problem, what="a problem")
        broker.start()
        subscribed(broker, 2)
        broker.publish("ward/icu", [message(2)])
        wait_until(lambda: len(set(devices(site.settings))) == 2 and site.settled(), what="both")
        assert site.listeners[0].problem == ""


def test_messages_for_which_the_spool_has_no_room_are_not_acknowledged(tmp_path: Path, broker: Broker) -> None:
    with running(tmp_path / "data", source(broker), forward=False, spool_bytes=2**20) as site:
        subscribed(broker)
        broker.publish("ward/icu", [message(number) for number in range(3000)])
        full = site.intake.spool.size_bytes

        def still() -> bool:
            nonlocal full
            before, full = full, site.intake.spool.size_bytes
            return before == full > 2**19

        wait_until(still, what="full spool")
        assert site.counts("iot_telemetry")[0] < 3000
        assert broker.log().count("Received PUBACK") <= site.counts("iot_telemetry")[0]
    with running(tmp_path / "data", source(broker)) as site:
        wait_until(lambda: site.counts("iot_telemetry")[0] >= 3000 and site.settled(), what="all")
        assert len(set(devices(site.settings))) == 3000


@contextmanager
def process(settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """Run the collector as a process and kill it with -9."""
    (one,) = settings.collector.sources
    values = {"BUS": settings.bus_url, "DATA_DIR": str(settings.data_dir), "HEALTH_PORT": str(free_port())}
    sources = [{"parser": one.parser, "transport": one.transport, "url": one.url}]
    values |= {"COLLECTOR__TENANT": "renai", "COLLECTOR__SOURCES": orjson.dumps(sources).decode()}
    environment = {**os.environ, **{f"WARDWATCH_{name}": value for name, value in values.items()}}
    with subprocess.Popen([sys.executable, "-m", "wardwatch", "run", "collector"], env=environment) as child:
        try:
            yield child
        finally:
            child.kill()


def test_no_message_is_lost_when_the_collector_is_killed_under_load(tmp_path: Path, broker: Broker) -> None:
    settings, each, kills = settings_of(tmp_path / "data", source(broker)), 1000, 4
    with process(settings):
        subscribed(broker)
    for kill in range(kills):
        messages = [message(number) for number in range(kill * each, (kill + 1) * each)]
        publishing = threading.Thread(target=broker.publish, args=("ward/icu", messages))
        publishing.start()
        taken = broker.log().count("Received PUBACK") + each // 4
        with process(settings):
            wait_until(lambda: broker.log().count("Received PUBACK") > taken, what="load")  # noqa: B023 used at once
        publishing.join()
    with running(tmp_path / "data", *settings.collector.sources) as site:
        topic = topics.events("renai").name
        wait_until(lambda: len({record.key for record in on_bus(site.settings, topic)}) == kills * each, what="all")
        assert len(set(devices(site.settings))) == kills * each


def test_a_message_too_large_is_dead_lettered_and_the_others_are_read(tmp_path: Path, broker: Broker) -> None:
    with running(tmp_path / "data", source(broker)) as site:
        subscribed(broker)
        broker.publish("ward/icu", [b"x" * (2**20 + 1), message(1)])
        accepted(site, 2)
        (letter,) = dead_letters(site.settings)
        assert "more than 1048576 bytes in a message" in letter["reason"]
        assert devices(site.settings) == ["band-1"]


_MAPPING = """\
name = "beds"
title = "Beds"
reads = "events of beds, which only their topics name"
format = "json"
module = "bed"
dataset = "bed.event"
logsource = { product = "iot", category = "", service = "bed" }
[fields]
"hospital.department.name" = { from = "@topic.1", scrub = "keep" }
"device.id" = { from = "@topic.2", scrub = "mask" }
"bed.event" = { from = "event", scrub = "mask" }
[[events]]
category = ["host"]
type = ["info"]
action = "bed-event"
[[tests]]
record = '{"event":"rail-down"}'
topic = "ward/icu/bed-7"
expect = { "device.id" = "bed-7", "hospital.department.name" = "icu" }
"""


def test_equal_messages_of_two_topics_are_two_events_that_their_topics_tell_apart(
    tmp_path: Path, broker: Broker
) -> None:
    mapping = tmp_path / "beds.toml"
    mapping.write_text(_MAPPING, "utf-8")
    with running(tmp_path / "data", source(broker, parser=f"mapped:{mapping}")) as site:
        subscribed(broker)
        for bed in ("bed-7", "bed-8"):
            broker.publish(f"ward/icu/{bed}", [b'{"event":"rail-down"}'])
        accepted(site, 2, "beds")
        assert devices(site.settings) == ["bed-7", "bed-8"]
        assert len({event["event.id"] for event in events(site.settings)}) == 2
        broker.publish("ward/icu/bed-9", [b"no JSON"])
        accepted(site, 3, "beds")
        (letter,) = dead_letters(site.settings)
        held = site.intake.quarantine.get(letter["position"])
        assert (held.record.topic, held.record.data) == ("ward/icu/bed-9", b"no JSON")


def test_retained_messages_come_once_however_often_the_collector_starts(tmp_path: Path, broker: Broker) -> None:
    broker.publish("ward/icu", [message(1)], "-r")
    for _ in range(2):
        with running(tmp_path / "data", source(broker)) as site:
            accepted(site, 1)
    with running(tmp_path / "data", source(broker)) as site:
        broker.publish("ward/icu", [message(2)])
        accepted(site, 2)


def test_a_login_and_a_topic_that_the_broker_refuses_are_shown(tmp_path: Path) -> None:
    passwords, rights = tmp_path / "passwords", tmp_path / "rights"
    subprocess.run([program("mosquitto_passwd", "mosquitto"), "-b", "-c", passwords, "his", "right"], check=True)
    passwords.chmod(0o600)
    rights.write_text("user his\ntopic read ward/#\n", "utf-8")
    with mosquitto(tmp_path / "broker", f"password_file {passwords}\nacl_file {rights}", anonymous=False) as broker:
        with running(tmp_path / "data", source(broker, user="his", password="wrong")) as site:
            wait_until(lambda: "refuses the login: Not authorized" in site.listeners[0].problem, what="a problem")
            assert "wrong" not in site.listeners[0].problem
        with running(tmp_path / "data", source(broker, user="his", password="right")) as site:
            subscribed(broker)
            assert site.listeners[0].problem == ""


def test_tls_shows_the_certificate_of_the_client_and_refuses_a_broker_of_other_authorities(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path / "own")
    other, _ = write_certificate(tmp_path / "other")
    files = f"cafile {chain}\ncertfile {chain}\nkeyfile {key}\nrequire_certificate true"
    with mosquitto(tmp_path / "broker", files) as broker:
        url = f"mqtts://127.0.0.1:{broker.port}/ward/#"
        with running(tmp_path / "data", source(broker, url=url, authorities=other)) as site:
            wait_until(lambda: "CERTIFICATE_VERIFY_FAILED" in site.listeners[0].problem, what="a problem")
        with running(tmp_path / "data", source(broker, url=url, authorities=chain)) as site:
            wait_until(lambda: site.listeners[0].problem, what="a problem")
        trusted = source(broker, url=url, authorities=chain, certificate=chain, key=key)
        with running(tmp_path / "data", trusted) as site:
            subscribed(broker)
            assert site.listeners[0].problem == ""


def test_a_server_that_speaks_something_else_is_shown_and_left(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = Broker(tmp_path, server.getsockname()[1])

        def answer() -> None:
            for data in (b"SSH-2.0-OpenSSH_9.2\r\n", b"\x20\x03\x00\x00\xff", b"\x30\x01\x00", b""):
                connection, _ = server.accept()
                with connection:
                    connection.sendall(data)
                    connection.recv(2**16)
                    problems.append(data)

        problems: list[bytes] = []
        thread = threading.Thread(target=answer)
        thread.start()
        with running(tmp_path / "data", source(broker)) as site:
            wait_until(lambda: len(problems) == 4, what="four connections")
            wait_until(lambda: site.listeners[0].problem, what="a problem")
            thread.join()


@pytest.mark.parametrize("url", ["mqtt://host", "http://host/a", "mqtt://his:secret@host/a", "mqtt://host:port/a"])
def test_a_url_without_a_topic_or_with_a_password_is_refused_at_start(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError) as refused, running(tmp_path, source(Broker(tmp_path, 1), url=url)):
        pass
    assert "secret" not in str(refused.value)


def test_check_subscribes_without_taking_anything_from_the_collector(tmp_path: Path, broker: Broker) -> None:
    with running(tmp_path / "data", source(broker)) as site:
        subscribed(broker)
        (found,) = _checked(tmp_path, source(broker))
        assert (found.state, found.message) == ("ok", "the broker grants the subscription")
        broker.publish("ward/icu", [message(1)])
        accepted(site, 1)
        assert site.listeners[0].problem == ""
    broker.stop()
    (found,) = _checked(tmp_path, source(broker))
    assert (found.state, "refused" in found.message) == ("FAILS", True)


def _checked(tmp_path: Path, one: SourceSettings) -> list[Finding]:
    found = check(settings_of(tmp_path / "checked", one))
    return [finding for finding in found if finding.part.startswith("iot_telemetry mqtt")]
