"""The address guard: nothing inside is reached unless a setting allows it, whatever the address is written like."""

from __future__ import annotations

import socket
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from tests.enrich.notify.servers import server_tls, web
from wardwatch.errors import PeerRefused, PeerUnavailable, SettingsError
from wardwatch.outbound import RESPONSE_BYTES, Outbound
from wardwatch.settings import OutboundSettings

GUARDED = Outbound(OutboundSettings())
HERE = Outbound(OutboundSettings(allow=(ip_network("127.0.0.1/32"),)))

INTERNAL = [
    "127.0.0.1",
    "127.8.8.8",
    "localhost",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "127.1",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:a9fe:a9fe]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::a9fe:a9fe]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fc00::1]",
    "[fec0::1]",
    "[ff02::1]",
    "169.254.169.254",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("host", INTERNAL)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_an_internal_address_is_not_reached(host: str, scheme: str) -> None:
    with web() as server:
        port = server.url.rpartition(":")[2]
        with pytest.raises((PeerRefused, PeerUnavailable)) as refused:
            GUARDED.post(f"{scheme}://{host}:{port}/", b"{}", {})
        if isinstance(refused.value, PeerUnavailable):  # a resolver that does not know this way of writing it
            assert "resolved" in refused.value.reason
        assert server.requests == []


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254", "localhost"])
def test_a_connection_for_mail_passes_the_same_guard(host: str) -> None:
    with pytest.raises(PeerRefused, match="internal"):
        GUARDED.connect(host, 25)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "http:///x",
        "https://user:secret@example.org/",
        "https://example.org:99999/",
        "https://example.org:0/",
        "https://exa\nmple.org/",
        "//example.org/",
        "",
        "https://[::1",
    ],
)
def test_what_is_no_plain_address_is_refused(url: str) -> None:
    with pytest.raises(PeerRefused):
        HERE.post(url, b"{}", {})


def test_an_allowed_network_is_reached_over_plain_http() -> None:
    with web() as server:
        server.answers.append((201, b"taken", {"Retry-After": "7"}))
        answer = HERE.post(f"{server.url}/a?b=c", b"body", {"X-Own": "1"})
        (request,) = server.requests
    assert (answer.status, answer.body, answer.retry_after_s) == (201, b"taken", 7.0)
    assert (request.path, request.body, request.headers["x-own"]) == ("/a?b=c", b"body", "1")


def test_a_name_with_one_internal_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [answer("8.8.8.8"), answer("127.0.0.2")])
    with pytest.raises(PeerRefused, match="internal"):
        HERE.post("https://mixed.example/", b"{}", {})


def test_a_name_is_asked_for_once_and_its_second_answer_never_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name server answers with an allowed address first and with a forbidden one from then on (rebinding)."""
    with web() as allowed, web(host="127.0.0.2") as forbidden:
        port = allowed.url.rpartition(":")[2]
        asked: list[str] = []

        def resolve(host: str, *_: object, **__: object) -> list[Any]:
            if host == "127.0.0.1":  # the checked address itself
                return [answer(host, int(port))]
            asked.append(host)
            return [answer("127.0.0.1" if len(asked) == 1 else "127.0.0.2", int(port))]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        assert HERE.post(f"http://rebinding.example:{port}/", b"{}", {}).status == 200
        assert (asked, len(allowed.requests), forbidden.requests) == (["rebinding.example"], 1, [])
        assert allowed.requests[0].headers["host"] == f"rebinding.example:{port}"
        with pytest.raises(PeerRefused):
            HERE.post(f"http://rebinding.example:{port}/", b"{}", {})


def test_a_redirect_is_not_followed() -> None:
    with web() as server, web() as inside:
        server.answers.append((302, b"", {"Location": f"{inside.url}/meta-data"}))
        assert HERE.post(server.url, b"{}", {}).status == 302
        assert inside.requests == []


def test_plain_http_to_a_public_address_is_refused() -> None:
    with pytest.raises(PeerRefused, match="https"):
        GUARDED.post("http://8.8.8.8/", b"{}", {})


def test_a_long_answer_is_read_only_to_its_limit() -> None:
    with web() as server:
        server.answers.append((200, b"x" * (RESPONSE_BYTES * 3), {}))
        assert len(HERE.post(server.url, b"{}", {}).body) == RESPONSE_BYTES


def test_a_server_that_drips_its_answer_is_left_at_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with pytest.raises(PeerUnavailable, match="Timeout"):
            HERE.post(f"http://127.0.0.1:{port}/", b"{}", {}, exchange_s=0.3)


def test_no_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with web() as server, web() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        HERE.post(server.url, b"{}", {})
        assert (len(server.requests), proxy.requests) == (1, [])


def test_tls_trusts_the_own_authority_and_checks_the_name(tmp_path: Path) -> None:
    context, authority = server_tls(tmp_path)
    networks = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    trusting = Outbound(OutboundSettings(allow=networks, ca=authority))
    with web(tls=context) as server:
        assert trusting.post(server.url, b"{}", {}).status == 200
        with pytest.raises(PeerUnavailable, match="CERTIFICATE"):
            Outbound(OutboundSettings(allow=networks)).post(server.url, b"{}", {})
        with pytest.raises(PeerUnavailable, match="CERTIFICATE"):
            trusting.post(server.url.replace("localhost", "127.0.0.1"), b"{}", {})


def test_a_secret_is_read_from_its_file_and_nowhere_else(tmp_path: Path) -> None:
    (tmp_path / "robot").write_text("s3cret\n")
    outbound = Outbound(OutboundSettings(secrets=tmp_path))
    assert (outbound.secret("file:robot"), outbound.secret("plain")) == ("s3cret", "plain")
    for wrong in ("file:../robot", "file:/etc/passwd", "file:absent", "file:"):
        with pytest.raises(PeerRefused):
            outbound.secret(wrong)
    with pytest.raises(PeerRefused):
        GUARDED.secret("file:robot")


def test_authorities_that_are_none_are_refused_at_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("none")
    for name in ("ca.pem", "absent.pem"):
        with pytest.raises(SettingsError, match=name):
            Outbound(OutboundSettings(ca=tmp_path / name))


def answer(address: str, port: int = 443) -> tuple[Any, ...]:
    return (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
