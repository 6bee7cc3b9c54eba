"""Hostile bytes at every listener of one collector: each is accounted for, and the next good record is processed."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import httpx
import orjson
import pytest
from pydantic import SecretStr

from tests.ingest.running import HL7, Running, dead_letters, events, linux, running
from wardwatch.demo.stand import write_certificate
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

TOKEN = "a-token-of-the-test"
TOO_LARGE = b"x" * 10_000_000
WINDOWS = {"EventID": 4624, "Channel": "Security", "Hostname": "his-ws-1", "EventTime": "2026-03-01T02:11:09Z"}
MYSQL = b"20260301 02:11:09,his-db-1,his,10.3.1.5,7,8,CONNECT,his,,0"
AUDIT = (
    b'<AuditMessage><EventIdentification EventActionCode="E" EventDateTime="2026-03-01T02:11:09Z" '
    b'EventOutcomeIndicator="0"><EventID csd-code="110100"/></EventIdentification></AuditMessage>'
)
USG = (
    b"<190>Mar  1 2026 02:11:09 usg-1 %%01POLICY/6/POLICYDENY(l):vsys=public, protocol=6, source-ip=10.3.1.5, "
    b"source-port=4022, destination-ip=10.3.1.9, destination-port=445, time=2026/3/1 02:11:09, rule-name=deny."
)
BOMB = (
    b'<!DOCTYPE a [<!ENTITY a "lol">'
    + b"".join(b'<!ENTITY %c "%s">' % (98 + n, b"&%c;" % (97 + n) * 10) for n in range(9))
    + b"]><AuditMessage>&j;</AuditMessage>"
)
EXTERNAL = b'<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><AuditMessage>&a;</AuditMessage>'

BAD = {
    "not JSON": b"not JSON",
    "100,000 nested brackets": b"[" * 100_000,
    "300 nested arrays": b"[" * 300 + b"]" * 300,
    "100,000 nested objects": b'{"a":' * 100_000,
    "NUL": b"\x00",
    "bad UTF-8": b'{"EventID": 4624, "a": "\xff\xfe\xfa"}',
    "GBK": "住院患者".encode("gbk"),
    "2^70": b'{"EventID": 1180591620717411303424, "class": "general", "x": 1180591620717411303424}',
    "2^70 in arrays": b'{"EventID": [[1180591620717411303424]], "class": "general", "x": [[1180591620717411303424]]}',
    "NaN": b'{"EventID": NaN, "class": "general"}',
    "half an object": b'{"EventID": 4624, "class": "gen',
    "XML bomb": BOMB,
    "external entity": EXTERNAL,
    "10 MB": TOO_LARGE,
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("site")
    chain, key = write_certificate(folder / "tls")
    sources = [
        SourceSettings(parser="mysql_audit", transport="tcp", listen="127.0.0.1:0"),
        SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0"),
        SourceSettings(parser="dicom_audit", transport="tls", listen="127.0.0.1:0", certificate=chain, key=key),
        SourceSettings(parser="hl7v2", transport="mllp", listen="127.0.0.1:0"),
        SourceSettings(parser="huawei_usg", transport="udp", listen="127.0.0.1:0"),
        SourceSettings(parser="mysql_audit", transport="file", path=str(folder / "audit.log")),
        SourceSettings(
            parser="windows", transport="http", listen="127.0.0.1:0", path="/windows", token=SecretStr(TOKEN)
        ),
    ]
    with running(folder, *sources, spool_bytes=2**28) as started:
        yield started


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send, close our half, and return everything that is answered until the collector closes the other."""
    answer = b""
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while received := connection.recv(65_536):
            answer += received
    except (ConnectionResetError, BrokenPipeError):
        pass  # refused before it had read everything
    return answer


def tcp(site: Running, number: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", site.port(number)), 10) as connection:
        return exchange(connection, data)


def tls(site: Running, data: bytes) -> None:
    trust = ssl.create_default_context(cafile=str(site.settings.data_dir / "tls" / "collector.pem"))
    with (
        socket.create_connection(("127.0.0.1", site.port(2)), 10) as plain,
        trust.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        try:
            connection.sendall(data)
            connection.unwrap()
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            pass  # refused before it had read everything


def udp(site: Running, data: bytes) -> None:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as out:
        out.sendto(data, ("127.0.0.1", site.port(4)))


def append(site: Running, data: bytes) -> None:
    with (site.settings.data_dir / "audit.log").open("ab") as log:
        log.write(data + b"\n")


def post(site: Running, data: bytes, **headers: str) -> httpx.Response:
    sent = {"Authorization": f"Bearer {TOKEN}"} | {name.replace("_", "-"): value for name, value in headers.items()}
    url = f"http://127.0.0.1:{site.port(6)}/windows"
    return httpx.post(url, content=data, headers=sent, trust_env=False, timeout=20)


def mllp(site: Running, message: bytes, code: bytes) -> None:
    answer = tcp(site, 3, b"\x0b" + message + b"\x1c\r")
    assert b"MSA|" + code in answer or len(message) > 2**20  # an endless message is not read to its end


def counted(*frames: bytes) -> bytes:
    return b"".join(b"%d %s" % (len(frame), frame) for frame in frames)


def accepted(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status, answer.text


@dataclass(frozen=True)
class Way:
    """One listener: how it is sent a bad and a good record of its source, and the largest it can carry."""

    source: str
    bad: Callable[[Running, bytes], object]
    good: Callable[[Running], object]
    largest: int = 2**30


WAYS = {
    "tcp lines": Way("mysql_audit", lambda s, b: tcp(s, 0, b + b"\n"), lambda s: tcp(s, 0, MYSQL + b"\n")),
    "tcp counted": Way("linux", lambda s, b: tcp(s, 1, counted(b"<86>" + b)), lambda s: tcp(s, 1, counted(linux(1)))),
    "tls": Way("dicom_audit", lambda s, b: tls(s, b + b"\n"), lambda s: tls(s, counted(b"<85>1 - - - - - - " + AUDIT))),
    "mllp": Way("hl7v2", lambda s, b: mllp(s, b, b"AR"), lambda s: mllp(s, HL7 % 7, b"AA")),
    "udp": Way("huawei_usg", udp, lambda s: udp(s, USG), largest=65_000),
    "file": Way("mysql_audit", append, lambda s: append(s, MYSQL)),
    "http": Way(
        "windows", lambda s, b: accepted(post(s, b), 202), lambda s: accepted(post(s, orjson.dumps(WINDOWS)), 200)
    ),
}


@dataclass
class Ledger:
    """What a source counted since the test began, beside what the bus has of it."""

    site: Running
    source: str

    def __post_init__(self) -> None:
        self.before = self._now()

    def _now(self) -> Sequence[int]:
        on_bus = (
            len([event for event in events(self.site.settings) if event["event.dataset"] in DATASETS[self.source]]),
            len({event["id"] for event in dead_letters(self.site.settings) if event["source"] == self.source}),
        )
        return (*self.site.counts(self.source), *on_bus)

    def since(self) -> list[int]:
        return [now - before for now, before in zip(self._now(), self.before, strict=True)]

    def has_forwarded(self, number: int) -> bool:
        return self.site.settled() and self.site.counts(self.source)[1] >= self.before[1] + number


DATASETS = {
    "mysql_audit": ["mysql.audit"],
    "linux": ["linux.sshd"],
    "dicom_audit": ["dicom.audit"],
    "hl7v2": ["hl7.v2"],
    "windows": ["windows.security"],
    "huawei_usg": ["huawei.usg"],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_record_is_a_dead_letter_and_the_next_one_is_processed(site: Running, way: str, bad: str) -> None:
    used, data = WAYS[way], BAD[bad]
    if len(data) > used.largest:
        pytest.skip("no datagram is so large")
    ledger = Ledger(site, used.source)
    used.bad(site, data)
    used.good(site)
    wait_until(lambda: ledger.has_forwarded(1), what="the good record forwarded")
    received, forwarded, filtered, dead, events_there, letters_there = ledger.since()
    assert (forwarded, filtered, events_there) == (1, 0, 1)
    assert dead >= 1
    assert received == forwarded + filtered + dead
    assert letters_there <= dead  # the same bytes again are the same letter


BROKEN: dict[str, tuple[str, Callable[[Running], object]]] = {
    "tcp: half a counted frame": ("linux", lambda s: tcp(s, 1, b"500 " + linux(1))),
    "tcp: an endless count": ("linux", lambda s: tcp(s, 1, b"999999999 <1>endless")),
    "tcp: a count too small": ("linux", lambda s: tcp(s, 1, b"5 " + linux(1) + b" more")),
    "tcp: a count too large": ("linux", lambda s: tcp(s, 1, b"7 <1>a" + counted(linux(1)))),
    "tcp: an endless line": ("mysql_audit", lambda s: tcp(s, 0, TOO_LARGE)),
    "tls: half a counted frame": ("dicom_audit", lambda s: tls(s, b"500 <85>1 - - - - - - " + AUDIT)),
    "tls: an endless count": ("dicom_audit", lambda s: tls(s, b"999999999 <85>1 endless")),
    "tls: a count too small": ("dicom_audit", lambda s: tls(s, b"3 <85>1 - - - - - - " + AUDIT)),
    "mllp: half a message": ("hl7v2", lambda s: tcp(s, 3, b"\x0b" + HL7 % 1)),
    "mllp: no start": ("hl7v2", lambda s: tcp(s, 3, HL7 % 1)),
    "mllp: an endless message": ("hl7v2", lambda s: tcp(s, 3, b"\x0b" + TOO_LARGE)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_bytes_that_are_no_frames_are_a_dead_letter_and_the_next_connection_is_fine(site: Running, broken: str) -> None:
    source, send = BROKEN[broken]
    ledger = Ledger(site, source)
    send(site)
    next(way for way in WAYS.values() if way.source == source).good(site)
    wait_until(lambda: ledger.has_forwarded(1), what="the good record forwarded")
    received, forwarded, filtered, dead, *_ = ledger.since()
    assert (forwarded, filtered, received) == (1, 0, 1 + dead)
    assert dead >= 1


@pytest.mark.parametrize(
    ("status", "data", "headers"),
    [
        (413, gzip.compress(b"0" * (64 * 2**20)), {"Content_Encoding": "gzip"}),
        (413, gzip.compress(b"0" * (9 * 2**20)) * 2, {"Content_Encoding": "gzip"}),
        (400, gzip.compress(orjson.dumps(WINDOWS))[:-9], {"Content_Encoding": "gzip"}),
        (400, gzip.compress(orjson.dumps(WINDOWS)) + b"behind it", {"Content_Encoding": "gzip"}),
        (413, b"x" * (17 * 2**20), {}),
    ],
    ids=["gzip bomb", "gzip bomb of two members", "half a gzip", "gzip and more", "endless body"],
)
def test_a_body_that_cannot_be_read_is_answered_and_counts_nothing(
    site: Running, status: int, data: bytes, headers: dict[str, str]
) -> None:
    ledger = Ledger(site, "windows")
    accepted(post(site, data, **headers), status)
    accepted(post(site, orjson.dumps(WINDOWS)), 200)
    wait_until(lambda: ledger.has_forwarded(1), what="the good record forwarded")
    assert ledger.since() == [1, 1, 0, 0, 1, 0]


def test_half_a_body_counts_nothing(site: Running) -> None:
    ledger = Ledger(site, "windows")
    request = b"POST /windows HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 900\r\n\r\n{"
    tcp(site, 6, request % TOKEN.encode())
    accepted(post(site, orjson.dumps(WINDOWS)), 200)
    wait_until(lambda: ledger.has_forwarded(1), what="the good record forwarded")
    assert ledger.since() == [1, 1, 0, 0, 1, 0]


def test_every_member_of_a_gzip_body_is_taken(site: Running) -> None:
    ledger = Ledger(site, "windows")
    accepted(post(site, gzip.compress(orjson.dumps(WINDOWS) + b"\n") * 3, Content_Encoding="gzip"), 200)
    wait_until(lambda: ledger.has_forwarded(3), what="all three forwarded")


def test_a_deep_item_of_an_array_costs_no_neighbour(site: Running) -> None:
    ledger = Ledger(site, "windows")
    good = orjson.dumps(WINDOWS)
    answer = post(site, b"[%s,%s,%s]" % (good, BAD["300 nested arrays"], good))
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2, "rejected": 1})
    wait_until(lambda: ledger.has_forwarded(2), what="the neighbours forwarded")


def test_unknown_segments_of_a_message_are_passed_over(site: Running) -> None:
    ledger = Ledger(site, "hl7v2")
    mllp(site, HL7 % 8 + b"ZZZ|1|^^^^~~~|\\X0D\\\rXXX\r||||\r\x85|?\rZ\r", b"AA")
    wait_until(lambda: ledger.has_forwarded(1), what="forwarded")
    assert ledger.since() == [1, 1, 0, 0, 1, 0]
