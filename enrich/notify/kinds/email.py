"""E-mail over SMTP with TLS (RFC 5321, RFC 3207, RFC 8314); the certificate is checked.

Mail is plain text (RFC 5322), marked as made by a machine (RFC 3834). Its Message-ID is the delivery's id, so that a
mail sent twice is seen as one by most clients.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from contextlib import suppress
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, StringConstraints

from enrich.notify.kinds import Post
from enrich.notify.kinds import Row as _Row
from wardwatch.errors import PeerRefused, PeerUnavailable
from wardwatch.outbound import EXCHANGE_S, Outbound

PER_MINUTE: Final = 60
DIGESTS: Final = True
_TEXT_BYTES = 100_000
_SUBJECT = 200
_Mailbox = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9.-]{1,200}$")]


class Row(_Row):
    """The server, what secures it, whom to log in as, from whom and to whom; ``plain`` needs ``outbound.allow``."""

    kind: Literal["email"]
    host: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9.:-]+$")
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "tls", "plain"] = "starttls"
    user: str = Field("", max_length=200)
    password: SecretStr = Field(SecretStr(""), max_length=500)
    sender: _Mailbox
    to: tuple[_Mailbox, ...] = Field((), max_length=50)


def send(row: Row, post: Post, outbound: Outbound) -> None:
    """Send to the person's address, or to those of the row."""
    to = [post.address] if post.address else list(row.to)
    if not to:
        raise PeerRefused("it has no recipient", step="notify")
    mail = _mail(row, post, to)
    if row.security == "plain" and not outbound.allowed(outbound.address(row.host, row.port)):
        raise PeerRefused("TLS is needed outside outbound.allow", step="notify", record=row.host)
    try:
        with _Guarded(row, outbound) as server:
            if row.security == "starttls":
                server.starttls(context=outbound.tls)
            if row.user:
                server.login(row.user, outbound.secret(row.password.get_secret_value()))
            server.send_message(mail, from_addr=row.sender, to_addrs=to)
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _failed("the recipients were refused", min(codes, default=400)) from None
    except smtplib.SMTPResponseException as error:
        raise _failed(f"it answered {error.smtp_code}", error.smtp_code) from None
    except ssl.SSLCertVerificationError as error:
        raise PeerUnavailable(f"its certificate is refused: {error.verify_message}", step="notify") from None
    except smtplib.SMTPNotSupportedError as error:
        raise PeerRefused(str(error), step="notify") from None
    except (smtplib.SMTPException, OSError) as error:
        raise PeerUnavailable(type(error).__name__, step="notify", record=row.host) from None


def _mail(row: Row, post: Post, to: list[str]) -> EmailMessage:
    mail = EmailMessage(policy=SMTP)
    subject = post.message.subject
    try:
        mail["Subject"] = subject if len(subject) <= _SUBJECT else subject[: _SUBJECT - 1] + "…"
        mail["From"] = Address("wardwatch", addr_spec=row.sender)
        mail["To"] = [Address(addr_spec=each) for each in to]
    except (ValueError, IndexError):  # what the standard library's header parser raises for a bad address
        raise PeerRefused("an address is none", step="notify") from None
    mail["Date"] = format_datetime(post.at)
    mail["Message-ID"] = f"<{post.id}@{row.sender.partition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(post.message.text(_TEXT_BYTES) + "\n")
    return mail


def _failed(reason: str, code: int) -> PeerRefused | PeerUnavailable:
    kind = PeerRefused if code >= 500 else PeerUnavailable
    return kind(reason, step="notify")


class _Guarded(smtplib.SMTP):
    """smtplib over a connection that passed the address guard, cut where a server drips its answers."""

    def __init__(self, row: Row, outbound: Outbound) -> None:
        self._row, self._outbound = row, outbound
        self._cutting = threading.Timer(2 * EXCHANGE_S, self._cut)
        self._cutting.daemon = True
        super().__init__(row.host, row.port, local_hostname="wardwatch.invalid", timeout=EXCHANGE_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        connected = self._outbound.connect(host, port)
        connected.settimeout(timeout)
        if self._row.security == "tls":
            connected = self._outbound.tls.wrap_socket(connected, server_hostname=host)
        self._cutting.start()
        return connected

    def close(self) -> None:
        """Close the connection."""
        self._cutting.cancel()
        super().close()

    def _cut(self) -> None:
        with suppress(OSError):
            if self.sock is not None:
                self.sock.shutdown(socket.SHUT_RDWR)
