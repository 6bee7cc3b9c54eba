"""SNMP traps and informs over UDP (RFC 3417, 3). An inform is answered only when it is durable, so that its sender
repeats it until then; traps are lossy. What is refused is counted by its reason, and logged when one comes up first.
"""

from __future__ import annotations

import secrets
import socket
import threading
import time
from hashlib import blake2b
from pathlib import Path

import msgspec
import orjson
import structlog

from ingest.intake import Intake, Source
from ingest.listeners import address_of, bind
from ingest.listeners.udp import receive
from ingest.parsers import Record
from ingest.snmp.ber import BerError
from ingest.snmp.message import Engine, Notification, Receiver, Refused
from ingest.snmp.usm import User
from ingest.spool import write_durably
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.settings import SnmpUser

log = structlog.get_logger()

_ENTERPRISE = (0x80000000 | 32473).to_bytes(4, "big")  # RFC 3411, 5; the number of RFC 5612, as we have none
_OCTETS = b"\x05"


class _Identity(msgspec.Struct):
    """The engine ID of a listener in hexadecimal, and how often it was started (RFC 3414, 2.2)."""

    engine: str
    boots: int


class SnmpListener:
    """One socket; ``folder`` holds the engine's identity."""

    problem = ""

    def __init__(self, source: Source, intake: Intake, folder: Path) -> None:
        settings = source.settings
        community = settings.community.get_secret_value().encode()
        if not community and not settings.users:
            remedy = "set community for v1 and v2c, [[collector.sources.users]] for v3"
            raise SettingsError("nobody may send here", step="collector", record=source.name, remedy=remedy)
        self._source = source
        self._intake = intake
        self._community = community
        self._closing = threading.Event()
        self._counts = {"dropped": 0, "unreadable": 0}
        self._receiver = Receiver(community, [], Engine(b"", 0, lambda: 0))
        digest = blake2b(settings.listen.encode(), digest_size=6).hexdigest()
        self._identity_path = folder / f"snmp-{digest}.json"
        self.name = f"listener snmp {settings.listen}"
        self.address = settings.listen

    def start(self) -> None:
        """Bind and serve; raises SettingsError."""
        self._socket = bind(self._source.settings.listen, self._source.name, socket.SOCK_DGRAM)
        self.address = address_of(self._socket)
        users = [_user(user) for user in self._source.settings.users]
        self._receiver = Receiver(self._community, users, self._engine())
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop reading."""
        self._closing.set()
        self._thread.join()
        self._socket.close()

    def state(self) -> dict[str, int]:
        """Return the notifications dropped for want of room, those that could not be read, and the refused ones."""
        return self._counts | self._receiver.refused

    def _engine(self) -> Engine:
        """Return ourselves, one start later."""
        begun = time.monotonic()
        try:
            identity = msgspec.json.decode(self._identity_path.read_bytes(), type=_Identity)
        except FileNotFoundError:
            identity = _Identity((_ENTERPRISE + _OCTETS + secrets.token_bytes(8)).hex(), 0)
        except (OSError, msgspec.MsgspecError) as error:
            remedy = "move it away: senders of informs then meet a new engine"
            reason = f"{self._identity_path} can't be read: {error}"
            raise SettingsError(reason, step="collector", record=self._source.name, remedy=remedy) from None
        identity.boots += 1
        write_durably(self._identity_path, msgspec.json.encode(identity))
        return Engine(bytes.fromhex(identity.engine), identity.boots, lambda: int(time.monotonic() - begun))

    def _serve(self) -> None:
        while not self._closing.is_set():
            found: list[tuple[Record, bytes, tuple[str, int]]] = []
            for data, peer in receive(self._socket):
                if notification := self._read(data, peer):
                    record = Record(orjson.dumps(notification.fields), str(peer[0]))
                    found.append((record, notification.answer, peer))
            if found and self._took([record for record, _, _ in found]):
                for _, answer, peer in found:
                    self._send(answer, peer)

    def _read(self, data: bytes, peer: tuple[str, int]) -> Notification | None:
        try:
            return self._receiver.read(data, str(peer[0]))
        except Refused as refused:
            if self._receiver.refused[refused.reason] == 1:
                log.warning("snmp_refused", listener=self.name, peer=peer[0], reason=refused.reason)
            self._send(refused.report, peer)
        except BerError as error:
            self._refuse(data, str(peer[0]), error.reason)
        return None

    def _took(self, records: list[Record]) -> bool:
        try:
            self._intake.accept(self._source, records)
        except Unavailable:
            self._counts["dropped"] += len(records)
            return False
        return True

    def _refuse(self, data: bytes, peer: str, reason: str) -> None:
        self._counts["unreadable"] += 1
        try:
            self._intake.refuse(self._source, Record(data, peer), reason)
        except Unavailable:
            self._counts["dropped"] += 1

    def _send(self, answer: bytes, peer: tuple[str, int]) -> None:
        if answer:
            try:
                self._socket.sendto(answer, peer)
            except OSError as error:
                log.info("snmp_answer_failed", listener=self.name, peer=peer[0], reason=str(error))


def _user(settings: SnmpUser) -> User:
    passwords = (settings.auth_password.get_secret_value(), settings.privacy_password.get_secret_value())
    auth, privacy = (password.encode() for password in passwords)
    return User(settings.name.encode(), settings.auth, auth, settings.privacy, privacy)
