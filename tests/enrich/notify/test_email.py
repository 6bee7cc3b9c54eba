"""Mail over a real SMTP server: TLS, login, headers, refusals."""

from __future__ import annotations

import email
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.policy import default
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from enrich.notify import channels
from tests.enrich.notify.servers import server_tls
from tests.enrich.notify.test_kinds import HOSTILE, alert, post, told
from wardwatch.errors import PeerRefused, PeerUnavailable
from wardwatch.outbound import Outbound
from wardwatch.settings import OutboundSettings
from wardwatch.testing.ports import free_port

NETWORKS = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


class Inbox:
    """What a server takes, and what it answers to a recipient."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self.encrypted: list[bool] = []
        self.rcpt = "250 OK"

    async def handle_RCPT(  # noqa: N802 the name that aiosmtpd calls
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.envelopes.append(envelope)
        assert server.transport is not None
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"

    def mail(self) -> EmailMessage:
        """Return the only mail, parsed as strictly as the standard library does."""
        (envelope,) = self.envelopes
        assert isinstance(envelope.content, bytes)
        parsed = email.message_from_bytes(envelope.content, policy=default)
        assert isinstance(parsed, EmailMessage)
        assert parsed.defects == []
        return parsed


@contextmanager
def smtp(
    inbox: Inbox, tls: ssl.SSLContext | None = None, *, implicit: bool = False, login: bool = False
) -> Iterator[int]:
    """Run a server and yield its port."""

    def authenticate(*args: Any) -> AuthResult:
        data = args[-1]
        right = isinstance(data, LoginPassword) and (data.login, data.password) == (b"soc", b"hunter2")
        return AuthResult(success=right, handled=False)

    more: dict[str, Any] = (
        {"ssl_context": tls} if implicit else {"tls_context": tls, "require_starttls": tls is not None}
    )
    if login:
        more |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": not implicit}
    port = free_port()
    controller = Controller(inbox, hostname="127.0.0.1", port=port, server_hostname="localhost", **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def outbound(authority: Path | None = None) -> Outbound:
    return Outbound(OutboundSettings(allow=NETWORKS, ca=authority))


def send(port: int, through: Outbound, message: Any = None, **row: Any) -> None:
    base = {
        "kind": "email",
        "host": "localhost",
        "port": port,
        "sender": "soc@example.org",
        "to": ["lin@example.org", "wang@example.org"],
    }
    channels.send(channels.parse({**base, **row}), message or post(), through)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_encrypted_after_login(tmp_path: Path, security: str) -> None:
    tls, authority = server_tls(tmp_path)
    inbox = Inbox()
    with smtp(inbox, tls, implicit=security == "tls", login=security == "starttls") as port:
        login = {"user": "soc", "password": "hunter2"} if security == "starttls" else {}
        send(port, outbound(authority), security=security, **login)
    mail = inbox.mail()
    assert inbox.encrypted == [True]
    assert inbox.envelopes[0].rcpt_tos == ["lin@example.org", "wang@example.org"]
    assert mail["Subject"] == "[high] New alert: Failed logins"
    assert mail["Message-ID"] == f"<{'d' * 32}@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert "https://console.example/alerts/" in mail.get_content()


def test_a_wrong_password_is_refused_and_never_told(tmp_path: Path) -> None:
    tls, authority = server_tls(tmp_path)
    with smtp(Inbox(), tls, login=True) as port, pytest.raises(PeerRefused, match="535") as refused:
        send(port, outbound(authority), user="soc", password="wrong-one")
    assert "wrong-one" not in str(refused.value)


def test_a_server_without_tls_gets_nothing(tmp_path: Path) -> None:
    inbox = Inbox()
    with smtp(inbox) as port, pytest.raises(PeerRefused, match="STARTTLS"):
        send(port, outbound())
    assert inbox.envelopes == []


def test_a_certificate_that_nobody_trusts_gets_nothing(tmp_path: Path) -> None:
    tls, _ = server_tls(tmp_path)
    inbox = Inbox()
    with smtp(inbox, tls) as port, pytest.raises(PeerUnavailable, match="certificate"):
        send(port, outbound())
    assert inbox.envelopes == []


def test_plain_mail_is_for_allowed_networks() -> None:
    inbox = Inbox()
    with smtp(inbox) as port:
        send(port, outbound(), security="plain")
        with pytest.raises(PeerRefused):
            send(port, Outbound(OutboundSettings()), security="plain")
    assert len(inbox.envelopes) == 1


@pytest.mark.parametrize(("answer", "error"), [("550 no such user", PeerRefused), ("451 later", PeerUnavailable)])
def test_a_refusal_for_ever_and_one_for_now_are_told_apart(answer: str, error: type[Exception]) -> None:
    inbox = Inbox()
    inbox.rcpt = answer
    with smtp(inbox) as port, pytest.raises(error):
        send(port, outbound(), security="plain")


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_text_adds_no_header_and_no_recipient(hostile: str) -> None:
    inbox = Inbox()
    with smtp(inbox) as port:
        send(port, outbound(), post(told(alert(hostile))), security="plain")
    mail = inbox.mail()
    names = {"subject", "from", "to", "date", "message-id", "auto-submitted", "mime-version"}
    assert {name.lower() for name in mail} <= names | {"content-type", "content-transfer-encoding"}
    assert inbox.envelopes[0].rcpt_tos == ["lin@example.org", "wang@example.org"]
    assert "\n" not in str(mail["Subject"])
    assert not {"\x1b", "\u202e"} & set(mail.get_content())


def test_a_persons_address_takes_the_place_of_the_rows_and_can_not_be_two() -> None:
    inbox = Inbox()
    with smtp(inbox) as port:
        send(port, outbound(), post(address="zhou@example.org"), security="plain")
        for wrong in ("a@b.c, d@e.f", "a@b.c\r\nBcc: d@e.f", "nobody"):
            with pytest.raises(PeerRefused):
                send(port, outbound(), post(address=wrong), security="plain")
    assert [envelope.rcpt_tos for envelope in inbox.envelopes] == [["zhou@example.org"]]


def test_no_server_is_tried_again_later() -> None:
    with pytest.raises(PeerUnavailable):
        send(free_port(), outbound())
