"""SNMP notifications of net-snmp's own programs."""

from __future__ import annotations

import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ingest.intake import source_of
from ingest.parsers import Record
from ingest.snmp import ber
from tests.ingest.running import Running, events, running
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.settings import SourceSettings
from wardwatch.testing.peers import program
from wardwatch.testing.ports import wait_until

LINK_DOWN = "1.3.6.1.6.3.1.1.5.3"
VARIABLES = ("1.3.6.1.2.1.2.2.1.1.3", "i", "3", "1.3.6.1.2.1.2.2.1.8.3", "i", "2", "1.3.6.1.2.1.2.2.1.2.3", "s", "eth3")
SECRET = "a secret of the switches"
USERS: tuple[dict[str, str], ...] = (
    {"name": "md5-des", "auth": "md5", "privacy": "des"},
    {"name": "sha-aes", "auth": "sha", "privacy": "aes"},
    {"name": "sha-aes256", "auth": "sha", "privacy": "aes256"},
    {"name": "sha224-none", "auth": "sha224"},
    {"name": "sha256-aes256", "auth": "sha256", "privacy": "aes256"},
    {"name": "sha384-aes", "auth": "sha384", "privacy": "aes"},
    {"name": "sha-aes256c", "auth": "sha", "privacy": "aes256c"},
    {"name": "sha512-aes", "auth": "sha512", "privacy": "aes"},
)
NAMES = {"md5": "MD5", "sha": "SHA", "des": "DES", "aes": "AES", "aes256": "AES-256", "aes256c": "AES-256-C"}


def snmp(listen: str = "127.0.0.1:0") -> SourceSettings:
    users = [
        one | {"auth_password": SECRET} | ({"privacy_password": SECRET[::-1]} if "privacy" in one else {})
        for one in USERS
    ]
    return SourceSettings.model_validate(
        {"parser": "snmp_trap", "transport": "snmp", "listen": listen, "community": "icu-net", "users": users}
    )


def of_user(user: dict[str, str], engine: str = "") -> list[str]:
    auth = NAMES.get(user["auth"], user["auth"].replace("sha", "SHA-"))
    private = ["-x", NAMES[user["privacy"]], "-X", SECRET[::-1]] if "privacy" in user else []
    level = "authPriv" if private else "authNoPriv"
    own = ["-e", f"0x{engine}"] if engine else []
    return ["-v3", "-u", user["name"], "-l", level, "-a", auth, "-A", SECRET, *private, *own]


def send(site: Running, command: str, *options: str, trap: tuple[str, ...] = ("55", LINK_DOWN)) -> int:
    """Send a notification by net-snmp and return its exit code, which for an inform tells whether it was confirmed."""
    to = f"127.0.0.1:{site.port()}"
    words = [program(command, "snmp"), *options, "-r", "0", "-t", "1", to, *trap, *VARIABLES]
    return subprocess.run(words, capture_output=True, check=False).returncode


def seen(site: Running, number: int) -> list[dict[str, Any]]:
    wait_until(lambda: site.counts("snmp_trap")[0] >= number and site.settled(), what=f"{number} notifications")
    return [dict(event) for event in events(site.settings)]


def test_a_trap_of_v1_and_of_v2c_are_the_same_event(tmp_path: Path) -> None:
    with running(tmp_path, snmp()) as site:
        send(site, "snmptrap", "-v1", "-c", "icu-net", trap=("1.3.6.1.4.1.9.1.516", "10.3.9.11", "2", "0", "55"))
        send(site, "snmptrap", "-v2c", "-c", "icu-net")
        first, second = sorted(seen(site, 2), key=lambda doc: str(doc["snmp.version"]))
        for doc in (first, second):
            assert (doc["event.code"], doc["event.action"]) == (LINK_DOWN, "snmp-link-down")
            assert doc["snmp.variables"] == ["ifIndex=3", "ifOperStatus=2", "ifDescr=eth3"]
        assert (first["host.ip"], first["observer.vendor"]) == ("10.3.9.11", "Cisco")
        assert second["host.ip"] == "127.0.0.1"


@pytest.mark.parametrize("user", USERS, ids=lambda user: str(user["name"]))
def test_traps_and_informs_of_v3_are_read_whatever_their_protocols(tmp_path: Path, user: dict[str, str]) -> None:
    with running(tmp_path, snmp()) as site:
        assert send(site, "snmpinform", *of_user(user)) == 0
        assert send(site, "snmptrap", *of_user(user, engine="80001f8804696375")) == 0
        docs = seen(site, 2)
        assert {doc["snmp.type"] for doc in docs} == {"inform", "trap"}
        assert {(doc["event.action"], doc["snmp.user"]) for doc in docs} == {("snmp-link-down", user["name"])}


def test_an_inform_is_confirmed_only_when_there_is_room_for_it(tmp_path: Path) -> None:
    with running(tmp_path, snmp(), forward=False, spool_bytes=2**20) as site:
        assert send(site, "snmpinform", "-v2c", "-c", "icu-net") == 0
        fill(site, b'{"trap":"1.2","agent":"10.3.1.1"}')
        before = site.counts("snmp_trap")[0]
        assert send(site, "snmpinform", "-v2c", "-c", "icu-net") != 0
        assert send(site, "snmpinform", *of_user(USERS[1])) != 0
        assert site.counts("snmp_trap")[0] == before
        assert site.listeners[0].state()["dropped"] == 2


def fill(site: Running, data: bytes) -> None:
    """Fill the spool until not one more record finds room."""

    source = source_of(site.settings.collector.sources[0], site.settings.collector)
    for size in (200, 1):
        with suppress(Unavailable):
            while True:
                site.intake.accept(source, [Record(data)] * size)


def test_strangers_are_refused_counted_and_told(tmp_path: Path) -> None:
    wrong = {"name": "nobody", "auth": "sha"}
    with running(tmp_path, snmp()) as site:
        assert send(site, "snmpinform", "-v2c", "-c", "public") != 0
        assert send(site, "snmpinform", *of_user(wrong)) != 0
        assert send(site, "snmpinform", *of_user({"name": "sha-aes", "auth": "sha"})) != 0  # without privacy
        assert send(site, "snmpinform", *of_user({"name": "sha224-none", "auth": "sha"})) != 0  # another digest
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            out.sendto(b"\x30\x03junk", ("127.0.0.1", site.port()))
            out.sendto(ber.element(ber.SEQUENCE, ber.integer(7)), ("127.0.0.1", site.port()))
        state = site.listeners[0].state
        wait_until(lambda: state()["wrong_version"] == 1, what="the last datagram")
        names = ("wrong_community", "unknown_user", "unsupported_level", "wrong_digest", "malformed")
        assert [state()[name] for name in names] == [1, 1, 1, 1, 1]
        assert site.counts("snmp_trap")[0] == 0


def test_a_notification_of_ours_that_cannot_be_read_is_kept_for_review(tmp_path: Path) -> None:
    with running(tmp_path, snmp()) as site, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        pdu = ber.element(0xA7, ber.integer(1), b"\x04\x00")
        message = ber.element(ber.SEQUENCE, ber.integer(1), ber.element(ber.OCTETS, b"icu-net"), pdu)
        out.sendto(message, ("127.0.0.1", site.port()))
        wait_until(lambda: site.counts("snmp_trap") == (1, 0, 0, 1), what="a dead letter")
        assert site.listeners[0].state()["unreadable"] == 1


def test_a_trap_that_is_sent_again_later_is_refused(tmp_path: Path) -> None:
    """RFC 3414, 2.2.3: what is older than 150 seconds by its sender's clock is a replay."""
    options = of_user(USERS[1], engine="80001f8804696375")
    with running(tmp_path, snmp()) as site:
        send(site, "snmptrap", *options, "-Z", "5,5000")
        send(site, "snmptrap", *options, "-Z", "5,4900")
        seen(site, 2)
        send(site, "snmptrap", *options, "-Z", "5,4700")
        send(site, "snmptrap", *options, "-Z", "4,9000")
        wait_until(lambda: site.listeners[0].state()["not_in_time"] == 2, what="two late ones")
        assert site.counts("snmp_trap")[0] == 2


def test_the_engine_stays_the_same_and_counts_its_starts(tmp_path: Path) -> None:
    found = []
    for _ in range(2):
        with running(tmp_path, snmp()):
            (identity,) = tmp_path.rglob("snmp-*.json")
            found.append(identity.read_text())
    assert found[0].replace('"boots":1', '"boots":2') == found[1]


def test_a_source_to_which_nobody_may_send_is_refused(tmp_path: Path) -> None:
    source = SourceSettings(parser="snmp_trap", transport="snmp", listen="127.0.0.1:0")
    with pytest.raises(SettingsError, match="nobody may send here"), running(tmp_path, source):
        pass
