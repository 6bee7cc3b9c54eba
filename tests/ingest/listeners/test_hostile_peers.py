"""Slow, silent and hostile peers on every transport that has connections: the next peer is served all the same."""

from __future__ import annotations

import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from hl7.client import MLLPClient  # type: ignore[import-untyped]

from ingest.listeners import http, tcp
from tests.ingest.listeners.pki import Pki
from tests.ingest.running import HL7, Running, dead_letters, linux, running
from wardwatch.settings import SourceSettings
from wardwatch.testing.peers import program
from wardwatch.testing.ports import wait_until

TOKEN = "a-token-of-the-test"
TRANSPORTS = ["tcp", "tls", "mllp", "mllp tls", "http", "http tls"]
PARSERS = {"tcp": "linux", "tls": "linux", "mllp": "hl7v2", "http": "linux"}
BEGUN = {"tcp": b"<86>1 2026", "tls": b"900 <86>1", "mllp": b"\x0bMSH|", "http": b"POST /in HTTP/1.1\r\nHost:"}
GARBAGE = [b"\x00" * 3000, b"\xff\xfe<\x0b\x1c\r\n" * 50, b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00"]


def source_of(how: str, pki: Pki, *, mutual: bool = False) -> SourceSettings:
    transport, *secure = how.split()
    values: dict[str, object] = {"transport": transport, "listen": "127.0.0.1:0", "parser": PARSERS[transport]}
    if transport == "http":
        values |= {"path": "/in", "token": TOKEN}
    if secure or transport == "tls":
        values |= pki.source(mutual=mutual)
    return SourceSettings.model_validate(values)


def is_secure(site: Running) -> bool:
    (source,) = site.settings.collector.sources
    return source.certificate is not None


@contextmanager
def connected(site: Running, pki: Pki, address: str = "127.0.0.1", *, known: bool = False) -> Iterator[socket.socket]:
    """Connect as the transport demands, after a TLS handshake where it has one."""
    with socket.create_connection(("127.0.0.1", site.port()), 10, source_address=(address, 0)) as plain:
        if not is_secure(site):
            yield plain
            return
        context = ssl.create_default_context(cafile=str(pki.ca))
        if known:
            context.load_cert_chain(pki.folder / "client.pem", pki.folder / "client.key")
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
            yield secure


def served(site: Running, pki: Pki, number: int = 1, *, known: bool = False) -> None:
    """Send one record as a proper peer and return when it is accepted."""
    (source,) = site.settings.collector.sources
    body = HL7 % number if source.transport == "mllp" else linux(number)
    request = b"POST /in HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s"
    sent = {
        "mllp": b"\x0b" + body + b"\x1c\r",
        "http": request % (TOKEN.encode(), len(body), body),
    }.get(source.transport, b"%d %s" % (len(body), body))
    with connected(site, pki, known=known) as peer:
        peer.sendall(sent)
        if source.transport in PARSERS and source.transport not in ("tcp", "tls"):
            assert b"MSA|AA" in (answer := peer.recv(4096)) or b" 200 " in answer
        wait_until(lambda: site.counts(source.parser)[0] >= 1, what="accepted")


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki") / "ca")


@pytest.mark.parametrize("how", TRANSPORTS)
def test_two_hundred_idle_or_half_sent_connections_do_not_delay_another(tmp_path: Path, pki: Pki, how: str) -> None:
    with running(tmp_path, source_of(how, pki)) as site, ExitStack() as stack:
        for number in range(200):
            address = f"127.0.0.{2 + number // 100}"
            kind = number % 3
            if kind == 2:  # not even a handshake
                plain = socket.create_connection(("127.0.0.1", site.port()), 10, source_address=(address, 0))
                stack.enter_context(plain)
            else:
                peer = stack.enter_context(connected(site, pki, address))
                peer.sendall(BEGUN[how.split(maxsplit=1)[0]] * kind)
        served(site, pki)


@pytest.mark.parametrize("garbage", GARBAGE, ids=["nul", "noise", "http", "tls hello"])
@pytest.mark.parametrize("how", TRANSPORTS)
def test_garbage_ends_its_own_connection_only(tmp_path: Path, pki: Pki, how: str, garbage: bytes) -> None:
    with running(tmp_path, source_of(how, pki)) as site:
        # it may be closed before it has read everything
        with socket.create_connection(("127.0.0.1", site.port()), 10) as peer, suppress(OSError):
            peer.sendall(garbage)
            peer.shutdown(socket.SHUT_WR)
            while peer.recv(4096):
                pass
        served(site, pki)


@pytest.mark.parametrize("how", ["tcp", "mllp"])
def test_one_address_gets_no_more_than_its_share_of_connections(tmp_path: Path, pki: Pki, how: str) -> None:
    with running(tmp_path, source_of(how, pki)) as site, ExitStack() as stack:
        peers = [stack.enter_context(connected(site, pki, "127.0.0.2")) for _ in range(tcp.CONNECTIONS_OF_PEER + 1)]
        assert peers[-1].recv(1) == b""
        assert site.listeners[0].state()["refused_connections"] == 1
        served(site, pki)


def test_one_address_gets_no_more_than_its_share_of_http_connections(tmp_path: Path, pki: Pki) -> None:
    with running(tmp_path, source_of("http", pki)) as site, ExitStack() as stack:
        peers = [stack.enter_context(connected(site, pki, "127.0.0.2")) for _ in range(http.CONNECTIONS_OF_PEER + 1)]
        with suppress(ConnectionResetError):
            assert peers[-1].recv(1) == b""
        served(site, pki)


@pytest.mark.parametrize("how", ["tcp", "tls", "mllp"])
def test_where_half_frames_hold_too_much_memory_the_largest_is_given_up(
    tmp_path: Path, pki: Pki, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tcp, "HELD_BYTES", 2**20)
    start = b"\x0bMSH|" if how == "mllp" else b"1000000 <86>1 "
    with running(tmp_path, source_of(how, pki)) as site, ExitStack() as stack:
        peers = [stack.enter_context(connected(site, pki)) for _ in range(4)]
        for peer in peers:
            peer.sendall(start + b"x" * 400_000)
        wait_until(lambda: site.listeners[0].state()["refused_frames"], what="one given up")
        served(site, pki)
        wait_until(site.settled, what="spool empty")
        assert {letter["reason"] for letter in dead_letters(site.settings)} == {
            "more than 1048576 bytes of half frames are held"
        }


@pytest.mark.parametrize("how", ["http", "http tls"])
def test_headers_that_do_not_end_close_the_connection_also_after_a_first_request(
    tmp_path: Path, pki: Pki, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "HEADER_S", 0.2)
    with running(tmp_path, source_of(how, pki)) as site, connected(site, pki) as peer:
        peer.sendall(b"GET /in HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = b""
        while not answer.endswith(b"}"):
            answer += peer.recv(4096)
        assert b" 401 " in answer
        peer.sendall(b"GET /in HTTP/1.1\r\n")
        with suppress(ConnectionResetError, ssl.SSLEOFError):
            assert peer.recv(4096) == b""


@pytest.mark.parametrize("how", ["tls", "mllp tls", "http tls"])
def test_with_authorities_only_peers_with_a_certificate_of_theirs_are_served(
    tmp_path: Path, pki: Pki, how: str
) -> None:
    stranger = Pki(tmp_path / "stranger")
    with running(tmp_path / "data", source_of(how, pki, mutual=True)) as site:
        for certificate in (None, stranger):
            context = ssl.create_default_context(cafile=str(pki.ca))
            if certificate:
                context.load_cert_chain(certificate.folder / "client.pem", certificate.folder / "client.key")
            with (
                socket.create_connection(("127.0.0.1", site.port()), 10) as plain,
                suppress(ssl.SSLError, ConnectionError),  # TLS 1.3 tells after the handshake
                context.wrap_socket(plain, server_hostname="127.0.0.1") as peer,
            ):
                assert peer.recv(1) == b""
        served(site, pki, known=True)


def test_the_hl7_library_and_openssl_speak_mllp_over_tls(tmp_path: Path, pki: Pki) -> None:
    with running(tmp_path, source_of("mllp tls", pki, mutual=True)) as site:
        with MLLPClient("127.0.0.1", site.port()) as client:
            context = ssl.create_default_context(cafile=str(pki.ca))
            context.load_cert_chain(pki.folder / "client.pem", pki.folder / "client.key")
            client.socket = context.wrap_socket(client.socket, server_hostname="127.0.0.1")
            assert b"MSA|AA|7" in client.send_message((HL7 % 7).decode())
        command = [program("openssl", "openssl"), "s_client", "-quiet", "-connect", f"127.0.0.1:{site.port()}"]
        command += ["-CAfile", str(pki.ca), "-verify_return_error", "-cert", str(pki.folder / "client.pem")]
        command += ["-key", str(pki.folder / "client.key")]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as peer:
            assert peer.stdin
            assert peer.stdout
            peer.stdin.write(b"\x0b" + HL7 % 8 + b"\x1c\r")
            peer.stdin.flush()
            answer = b""
            while not answer.endswith(b"\x1c\r") and (byte := peer.stdout.read(1)):
                answer += byte
            peer.kill()
        assert b"MSA|AA|8" in answer


def test_curl_posts_over_https_with_a_client_certificate(tmp_path: Path, pki: Pki) -> None:
    with running(tmp_path, source_of("http tls", pki, mutual=True)) as site:
        command = [program("curl", "curl"), "--silent", "--show-error", "--noproxy", "*", "--cacert", str(pki.ca)]
        command += ["--cert", str(pki.folder / "client.pem"), "--key", str(pki.folder / "client.key")]
        command += ["--header", f"Authorization: Bearer {TOKEN}", "--data-binary", linux(1).decode()]
        done = subprocess.run([*command, f"https://127.0.0.1:{site.port()}/in"], capture_output=True, check=True)
        assert done.stdout == b'{"accepted":1,"rejected":0}'
