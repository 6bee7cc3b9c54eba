"""Notifications of SNMP: traps of v1 (RFC 1157), traps and informs of v2c (RFC 3416) and v3 (RFC 3412, RFC 3414).

A notification becomes an object: ``version`` ("1", "2c", "3"), ``type`` (trap or inform), ``agent`` (its address, as it
says itself or as it was seen), ``trap`` (its OID; that of a v1 trap by RFC 3584, 3.1), ``enterprise`` (v1), ``uptime``
in hundredths of a second, ``request`` (its number), ``variables`` with ``oid``, ``type`` and ``value``; of v3 also
``user``, ``engine``, ``context``. Octets that are no text are of type ``hex``.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any

from ingest.snmp import ber
from ingest.snmp.ber import BerError, Reader
from ingest.snmp.usm import User

_GET_RESPONSE, _TRAP_V1, _INFORM, _TRAP, _REPORT = 0xA2, 0xA4, 0xA6, 0xA7, 0xA8
_AUTH, _PRIVACY, _REPORTABLE = 1, 2, 4
_USM = 3
_WINDOW_S = 150  # RFC 3414, 2.2.3
_MAX_BOOTS = 2**31 - 1
_MAX_VARIABLES = 256
_SENDERS = 10_000
_TRAPS = "1.3.6.1.6.3.1.1.5"
_UPTIME, _TRAP_OID = "1.3.6.1.2.1.1.3.0", "1.3.6.1.6.3.1.1.4.1.0"
_ADDRESS, _ENTERPRISE = "1.3.6.1.6.3.18.1.3.0", "1.3.6.1.6.3.1.1.4.3.0"  # RFC 3584, 3.1
_STATISTICS = {
    "unsupported_level": "1.3.6.1.6.3.15.1.1.1.0",
    "not_in_time": "1.3.6.1.6.3.15.1.1.2.0",
    "unknown_user": "1.3.6.1.6.3.15.1.1.3.0",
    "unknown_engine": "1.3.6.1.6.3.15.1.1.4.0",
    "wrong_digest": "1.3.6.1.6.3.15.1.1.5.0",
    "not_decrypted": "1.3.6.1.6.3.15.1.1.6.0",
}
"""Why a message of v3 is refused → what its sender is told (RFC 3414, 5, usmStats)."""

REFUSALS = ("malformed", "wrong_community", "wrong_version", *_STATISTICS)
"""Why a message is no notification for us; also the counters' names. By ``unknown_engine`` senders learn ours."""


class Refused(Exception):
    """A message that is not taken: ``reason`` is one of REFUSALS, ``report`` what its sender is told ("" nothing)."""

    def __init__(self, reason: str, report: bytes = b"") -> None:
        super().__init__(reason)
        self.reason = reason
        self.report = report


@dataclass(frozen=True, slots=True)
class Notification:
    """What arrived, and what confirms an inform (b"" for a trap)."""

    fields: dict[str, Any]
    answer: bytes


@dataclass(frozen=True, slots=True)
class Engine:
    """Ourselves: the receiver is the authority for informs (RFC 3414, 1.5.1). ``time`` is seconds since its start."""

    id: bytes
    boots: int
    time: Callable[[], int]


@dataclass(frozen=True, slots=True)
class _Security:
    """The security parameters of one message of v3."""

    engine: bytes
    boots: int
    time: int
    user: bytes
    digest: bytes
    digest_at: int
    salt: bytes


@dataclass(frozen=True, slots=True)
class _Header:
    """The header of one message of v3, RFC 3412, 6."""

    number: int
    flags: int


@dataclass(frozen=True, slots=True)
class _Opened:
    """A message that is meant for us: what is known of it, its PDU, and what makes an answer of a PDU."""

    fields: dict[str, Any]
    tag: int
    pdu: Reader
    secured: Callable[[bytes], bytes]


class Receiver:
    """Reads datagrams. ``community`` b"" refuses v1 and v2c, no ``users`` refuse v3. One thread may use it.

    ``refused`` counts by reason.
    """

    def __init__(self, community: bytes, users: Sequence[User], engine: Engine) -> None:
        self._community = community
        self._users = {user.name: user for user in users}
        self._engine = engine
        self._clocks: OrderedDict[bytes, tuple[int, int, int]] = OrderedDict()
        self.refused = Counter(dict.fromkeys(REFUSALS, 0))

    def read(self, data: bytes, peer: str) -> Notification:
        """Return the notification of a datagram from an address.

        Raises Refused for what is not meant for us, BerError for what is ours but can't be read.
        """
        try:
            opened = self._opened(data)
        except BerError:
            raise self._counted("malformed") from None
        return _notification(opened, peer)

    def _opened(self, data: bytes) -> _Opened:
        message = Reader(data).inside(ber.SEQUENCE)
        version = message.integer()
        if version in (0, 1):
            return self._of_community(message, "2c" if version else "1")
        if version == 3:
            return self._of_user(message, data)
        raise self._counted("wrong_version")

    def _of_community(self, message: Reader, version: str) -> _Opened:
        community = message.octets()
        if not self._community or not compare_digest(community, self._community):
            raise self._counted("wrong_community")
        tag, begin, end = message.element()

        def secured(pdu: bytes) -> bytes:
            return ber.element(ber.SEQUENCE, ber.integer(1), ber.element(ber.OCTETS, community), pdu)

        return _Opened({"version": version}, tag, Reader(message.data, begin, end), secured)

    def _of_user(self, message: Reader, data: bytes) -> _Opened:
        head = message.inside(ber.SEQUENCE)
        number, _, flags, model = head.integer(), head.integer(), head.octets(), head.integer()
        if model != _USM or len(flags) != 1:
            raise BerError("not the user-based security model")
        header = _Header(number, flags[0])
        security = _security(message.inside(ber.OCTETS))
        user = self._user(header, security)
        if not self._is_authentic(user, security, data):
            raise self._counted("wrong_digest", header)
        self._check_time(user, header, security)
        scoped = self._scoped(user, header, security, message)
        context_engine, context = scoped.octets(), scoped.octets()
        tag, begin, end = scoped.element()
        if tag == _INFORM and security.engine != self._engine.id:
            raise self._counted("unknown_engine", header)

        def secured(pdu: bytes) -> bytes:
            names = (ber.element(ber.OCTETS, context_engine), ber.element(ber.OCTETS, context))
            return self._secured(number, ber.element(ber.SEQUENCE, *names, pdu), user)

        told = {"user": _text(user.name)["value"], "engine": security.engine.hex(), "context": _text(context)["value"]}
        return _Opened({"version": "3", **told}, tag, Reader(scoped.data, begin, end), secured)

    def _user(self, header: _Header, security: _Security) -> User:
        """Return the message's user; raises Refused for a stranger and for another level than the user's."""
        if not security.engine:
            raise self._counted("unknown_engine", header)
        user = self._users.get(security.user)
        if user is None:
            raise self._counted("unknown_user", header)
        if header.flags & (_AUTH | _PRIVACY) != (_AUTH | _PRIVACY if user.privacy else _AUTH):
            raise self._counted("unsupported_level", header)
        return user

    def _is_authentic(self, user: User, security: _Security, data: bytes) -> bool:
        size = len(security.digest)
        zeroed = data[: security.digest_at] + bytes(size) + data[security.digest_at + size :]
        return user.verifies(security.digest, zeroed, security.engine)

    def _check_time(self, user: User, header: _Header, security: _Security) -> None:
        """Refuse what was sent long ago (RFC 3414, 3.2.7), by our clock or by what is known of the sender's."""
        now, boots, time = self._engine.time(), security.boots, security.time
        if security.engine == self._engine.id:
            if boots == _MAX_BOOTS or boots != self._engine.boots or abs(time - now) > _WINDOW_S:
                raise self._counted("not_in_time", header, user)
            return
        known_boots, known_time, seen = self._clocks.get(security.engine, (0, 0, now))
        is_late = boots < known_boots or (boots == known_boots and time < known_time + now - seen - _WINDOW_S)
        if boots == _MAX_BOOTS or is_late:
            raise self._counted("not_in_time", header, user)
        if (boots, time) > (known_boots, known_time):
            self._clocks[security.engine] = (boots, time, now)
            self._clocks.move_to_end(security.engine)
            if len(self._clocks) > _SENDERS:
                self._clocks.popitem(last=False)

    def _scoped(self, user: User, header: _Header, security: _Security, message: Reader) -> Reader:
        if not user.privacy:
            return message.inside(ber.SEQUENCE)
        encrypted = message.octets()
        try:
            plain = user.decrypt(encrypted, security.engine, security.boots, security.time, security.salt)
            return Reader(plain).inside(ber.SEQUENCE)
        except BerError:
            raise self._counted("not_decrypted", header) from None

    def _counted(self, reason: str, header: _Header | None = None, user: User | None = None) -> Refused:
        """Return the refusal, with a report where the sender wants one; a user signs it (RFC 3414, 3.2.7a)."""
        self.refused[reason] += 1
        if header is None or not header.flags & _REPORTABLE:
            return Refused(reason)
        count = ber.integer(self.refused[reason] & 0xFFFFFFFF, 0x41)
        variables = ber.element(
            ber.SEQUENCE, ber.element(ber.SEQUENCE, ber.object_identifier(_STATISTICS[reason]), count)
        )
        pdu = ber.element(_REPORT, ber.integer(0), ber.integer(0), ber.integer(0), variables)
        inner = ber.element(ber.SEQUENCE, ber.element(ber.OCTETS, self._engine.id), ber.element(ber.OCTETS), pdu)
        return Refused(reason, self._secured(header.number, inner, user, private=False))

    def _secured(self, number: int, scoped: bytes, user: User | None, *, private: bool = True) -> bytes:
        """Return a message of ours, secured as its user's are."""
        engine, boots, time = self._engine.id, self._engine.boots, self._engine.time()
        salt = b""
        if user and user.privacy and private:
            encrypted, salt = user.encrypt(scoped, engine, boots, time)
            scoped = ber.element(ber.OCTETS, encrypted)
        flags = (_AUTH if user else 0) | (_PRIVACY if salt else 0)
        head = ber.element(
            ber.SEQUENCE,
            ber.integer(number),
            ber.integer(65_507),
            ber.element(ber.OCTETS, bytes((flags,))),
            ber.integer(_USM),
        )

        def message(digest: bytes) -> bytes:
            names = (user.name if user else b"", digest, salt)
            parameters = ber.element(
                ber.SEQUENCE,
                ber.element(ber.OCTETS, engine),
                ber.integer(boots),
                ber.integer(time),
                *(ber.element(ber.OCTETS, each) for each in names),
            )
            return ber.element(ber.SEQUENCE, ber.integer(3), head, ber.element(ber.OCTETS, parameters), scoped)

        return message(user.digest(message(bytes(user.digest_size)), engine)) if user else message(b"")


def _security(parameters: Reader) -> _Security:
    fields = parameters.inside(ber.SEQUENCE)
    engine, boots, time, user = fields.octets(), fields.integer(), fields.integer(), fields.octets()
    if not (0 <= boots <= _MAX_BOOTS and 0 <= time <= _MAX_BOOTS):
        raise BerError("a clock that RFC 3414 has not")
    digest = fields.inside(ber.OCTETS)
    size = digest.end - digest.at
    return _Security(engine, boots, time, user, digest.data[digest.at :][:size], digest.at, fields.octets())


def _notification(opened: _Opened, peer: str) -> Notification:
    tag, pdu = opened.tag, opened.pdu
    if opened.fields["version"] == "1" and tag == _TRAP_V1:
        return Notification({**opened.fields, "type": "trap", **_of_v1(pdu, peer)}, b"")
    if opened.fields["version"] == "1" or tag not in (_TRAP, _INFORM):
        raise BerError(f"PDU {tag:#x} is no notification")
    request = pdu.integer()
    pdu.integer(), pdu.integer()
    bindings = pdu.inside(ber.SEQUENCE)
    fields = {"type": "trap", "request": request, **_of_v2(Reader(bindings.data, bindings.at, bindings.end), peer)}
    if tag == _TRAP:
        return Notification({**opened.fields, **fields}, b"")
    same = ber.element(ber.SEQUENCE, bindings.data[bindings.at : bindings.end])
    response = ber.element(_GET_RESPONSE, ber.integer(request), ber.integer(0), ber.integer(0), same)
    return Notification({**opened.fields, **fields, "type": "inform"}, opened.secured(response))


def _of_v1(pdu: Reader, peer: str) -> dict[str, Any]:
    """Return the fields of a Trap-PDU (RFC 1157, 4.1.6)."""
    enterprise = ber.object_of(pdu.octets(ber.OBJECT))
    agent = _address(pdu.octets(0x40))
    generic, specific = pdu.integer(), pdu.integer()
    uptime = ber.integer_of(pdu.octets(0x43), signed=False)
    return {
        "agent": agent if agent != "0.0.0.0" else peer,  # noqa: S104 no address to bind
        "trap": f"{_TRAPS}.{generic + 1}" if 0 <= generic < 6 else f"{enterprise}.0.{specific}",
        "enterprise": enterprise,
        "uptime": uptime,
        "variables": _read_variables(pdu.inside(ber.SEQUENCE)),
    }


def _of_v2(bindings: Reader, peer: str) -> dict[str, Any]:
    """Return the fields that a Trap or Inform-PDU has as variables (RFC 3416, 4.2.6 and 4.2.7; RFC 3584, 3.1)."""
    variables = _read_variables(bindings)
    named = {one["oid"]: one["value"] for one in variables if one["oid"] in _OF_NOTIFICATION}
    return {
        "agent": named.get(_ADDRESS, peer),
        "trap": named.get(_TRAP_OID, ""),
        "enterprise": named.get(_ENTERPRISE, ""),
        "uptime": named.get(_UPTIME, 0),
        "variables": [one for one in variables if one["oid"] not in _OF_NOTIFICATION],
    }


_OF_NOTIFICATION = frozenset((_UPTIME, _TRAP_OID, _ADDRESS, _ENTERPRISE))


def _read_variables(bindings: Reader) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for pair in bindings.rest():
        if len(found) == _MAX_VARIABLES:
            raise BerError(f"more than {_MAX_VARIABLES} variables")
        name = ber.object_of(pair.octets(ber.OBJECT))
        tag, begin, end = pair.element()
        found.append({"oid": name, **_value(tag, pair.data[begin:end])})
    return found


def _value(tag: int, content: bytes) -> dict[str, Any]:
    """Return type and value of a variable (RFC 2578, 7.1); what is of no type of SMIv2 is its octets."""
    if tag in (ber.OCTETS, 0x44):
        return _text(content) if tag == ber.OCTETS else {"type": "opaque", "value": content.hex()}
    if tag == ber.OBJECT:
        return {"type": "oid", "value": ber.object_of(content)}
    if tag == 0x40:
        return {"type": "address", "value": _address(content)}
    if tag in _NUMBERS:
        return {"type": _NUMBERS[tag], "value": ber.integer_of(content, signed=tag == ber.INTEGER)}
    if tag in _ABSENT:
        return {"type": _ABSENT[tag], "value": ""}
    return {"type": f"tag-{tag:#x}", "value": content.hex()}


_NUMBERS = {ber.INTEGER: "integer", 0x41: "counter32", 0x42: "gauge32", 0x43: "timeticks", 0x46: "counter64"}
_ABSENT = {ber.NULL: "null", 0x80: "no-such-object", 0x81: "no-such-instance", 0x82: "end-of-view"}


def _address(content: bytes) -> str:
    if len(content) != 4:
        raise BerError("an IpAddress of other than four octets")
    return str(ip_address(content))


def _text(content: bytes) -> dict[str, Any]:
    """Return octets as text where they are: UTF-8 without controls but tabs and ends of lines."""
    try:
        text = content.rstrip(b"\0").decode()
    except UnicodeDecodeError:
        return {"type": "hex", "value": content.hex()}
    if all(character.isprintable() or character in "\t\r\n" for character in text):
        return {"type": "string", "value": text}
    return {"type": "hex", "value": content.hex()}
