"""Values of records as their fields have them: an address is one, a number is one, what is neither stays out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache

from ingest.address import address
from wardwatch.event import MAX_INTEGER, Document

ABSENT = frozenset(("", "-", "--", "?", "N/A", "n/a", "(null)", "null", "None", "none", "(empty)", "undefined"))
"""What logs write for no value."""

_UNSPECIFIED = ("", "0.0.0.0", "::")  # noqa: S104 what logs write for no address
_MAX_ITEMS = 100  # of a list
_HEX = re.compile(r"[0-9A-Fa-f]+")
_HASHES = {32: "md5", 40: "sha1", 64: "sha256"}
_NUMBERS = (
    ".port",
    ".bytes",
    ".packets",
    ".pid",
    ".status_code",
    ".vlan_number",
    ".count",
    ".size",
    ".size_bytes",
    ".rows",
    ".pages",
    ".copies",
    ".job_id",
    ".auth_attempts",
)
_LONG = frozenset(
    (
        "db.connection_id",
        "db.query_id",
        "event.severity",
        "event.sequence",
        "event.duration",
        "log.syslog.severity.code",
        "log.syslog.facility.code",
    )
)
_ACCOUNTS = {"user.name": "user.domain", "user.target.name": "user.target.domain"}
_TRANSPORTS = {"1": "icmp", "6": "tcp", "17": "udp", "47": "gre", "50": "esp", "58": "ipv6-icmp", "132": "sctp"}


def fill(doc: Document, values: Mapping[str, object], names: Mapping[str, str]) -> None:
    """Set the fields that ``names`` has for the names of ``values``; of two values for a field the first one stays."""
    for name, target in names.items():
        if name in values:
            put(doc, target, values[name])


def put(doc: Document, name: str, value: object) -> None:
    """Set a field unless the value is absent, not of the field's type, or the field is set already."""
    if name in _ACCOUNTS:
        _put_account(doc, name, text_of(value))
        return
    if isinstance(value, list):
        found: object = [item for item in map(_converter(name), value[:_MAX_ITEMS]) if item is not None]
    else:
        found = _converter(name)(value)
    if found is not None and found != [] and name not in doc:
        doc[name] = found


def _put_account(doc: Document, name: str, account: str) -> None:
    """Set an account without its domain, so that a person has one token: ``HOSP\\li.na`` and ``li.na@hosp`` are one."""
    domain, _, user = account.rpartition("\\")
    if not domain:
        user, _, domain = account.partition("@")
    if user and name not in doc:
        doc[name] = user
        if domain:
            doc.setdefault(_ACCOUNTS[name], domain)


def put_hash(doc: Document, digest: object, of: str = "file") -> None:
    """Set the hash of a file or process under the name of its algorithm, told by its length."""
    text = text_of(digest).lower()
    algorithm = _HASHES.get(len(text))
    if algorithm and _HEX.fullmatch(text):
        doc.setdefault(f"{of}.hash.{algorithm}", text)


def classify(
    doc: Document, category: str | list[str], kind: str | list[str], action: str, outcome: str | None = None
) -> None:
    """Set ``event.category``, ``event.type``, ``event.action`` and, where there is one, ``event.outcome``."""
    doc["event.category"] = [category] if isinstance(category, str) else category
    doc["event.type"] = [kind] if isinstance(kind, str) else kind
    doc["event.action"] = action
    if outcome:
        doc["event.outcome"] = outcome


def text_of(value: object) -> str:
    """Return a value of a record as text; "" for an absent one and for what is neither text nor number."""
    if isinstance(value, str):
        text = value.strip()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        text = str(value)
    else:
        return ""
    return "" if text in ABSENT else text


def number_of(value: object) -> int | None:
    """Return a whole number that an index can hold, or None."""
    if isinstance(value, str) and len(value) < _SAFE_DIGITS and value.isascii() and value.isdigit():
        return int(value)
    text = text_of(value).removesuffix(".0")
    if not text.removeprefix("-").isdecimal() or len(text) > 20 or abs(int(text)) > MAX_INTEGER:
        return None
    return int(text)


_SAFE_DIGITS = 19  # fewer are below MAX_INTEGER


def mac_of(value: object) -> str | None:
    """Return an EUI-48 as ECS has it, ``00-00-5E-00-53-23`` (RFC 7042), from any of its notations, or None."""
    digits = re.sub(r"[:.-]", "", text_of(value)[:32])
    return (
        "-".join(digits[at : at + 2] for at in range(0, 12, 2)).upper()
        if len(digits) == 12 and _HEX.fullmatch(digits)
        else None
    )


def is_typed(name: str) -> bool:
    """Tell whether a field takes addresses, numbers or the like alone, so that no text can be in it."""
    return _converter(name) in (_address_of, mac_of, number_of)


def _address_of(value: object) -> str | None:
    found = address(text_of(value))
    return found if found not in _UNSPECIFIED else None


def _keyword_of(value: object) -> str | bool | None:
    return value if isinstance(value, bool) else text_of(value) or None


def _hash_of(value: object) -> str | None:
    text = text_of(value)
    return text if len(text) in _HASHES and _HEX.fullmatch(text) else None


def _transport_of(value: object) -> str | None:
    text = text_of(value).lower()
    return _TRANSPORTS.get(text, text) or None


@cache
def _converter(name: str) -> Callable[[object], object]:
    if name == "network.transport":
        return _transport_of
    if name.endswith((".ip", ".resolved_ip")):
        return _address_of
    if name in ("network.protocol", "network.application"):
        return lambda value: text_of(value).lower() or None
    if ".hash." in name:
        return _hash_of
    if name.endswith(".mac"):
        return mac_of
    return number_of if name in _LONG or name.endswith(_NUMBERS) else _keyword_of
