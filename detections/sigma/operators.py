"""What each operator of a test means: does one value of an event meet it?"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import re2  # type: ignore[import-untyped]

from detections.sigma.expression import Op, Test
from detections.sigma.view import Cell, View, fold
from wardwatch.errors import RuleError

Accept = Callable[[Cell, View], bool]
Number = int | Decimal

MAX_TEXT_BYTES = 3900
"""Hyperscan refuses patterns above 16,000 bytes; each byte of a text is at most four of its pattern."""

_SEARCHED = ("startswith", "endswith", "contains", "like")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?")
_TOKEN = re.compile(r"\\(?s:.)|[*?]|[^\\*?]+")
_TEXT: dict[str, Callable[[str, str], bool]] = {
    "equals": operator.eq,
    "startswith": str.startswith,
    "endswith": str.endswith,
    "contains": operator.contains,
}
_COMPARE: dict[str, Callable[[Number, Number], bool]] = {
    "number": operator.eq,
    "ne": operator.ne,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
_PART: dict[str, Callable[[datetime], int]] = {
    "minute": lambda moment: moment.minute,
    "hour": lambda moment: moment.hour,
    "day": lambda moment: moment.day,
    "week": lambda moment: moment.isocalendar().week,
    "month": lambda moment: moment.month,
    "year": lambda moment: moment.year,
}


def check(test: Test) -> None:
    """Raise RuleError where the test's value is not one that its operator reads."""
    if test.op in _SEARCHED and len(test.value.encode("utf-8", "surrogatepass")) > MAX_TEXT_BYTES:
        raise RuleError(f"a text of more than {MAX_TEXT_BYTES} bytes to search for", step="rules")
    if test.op not in ("exists", "null"):
        acceptor(test)


@lru_cache(maxsize=16_384)
def acceptor(test: Test) -> Accept:
    """Return the function that tells whether a value meets the test; raises RuleError."""
    return _ACCEPTORS[test.op](test)


def number(raw: object) -> Number | None:
    """Return a number, or a text that is one in decimal notation without exponent, without loss; None for others."""
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int):
        return raw
    if isinstance(raw, float):
        return Decimal(repr(raw)) if math.isfinite(raw) else None
    if isinstance(raw, str) and _DECIMAL.fullmatch(raw):
        return Decimal(raw)
    return None


Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


@lru_cache(maxsize=8192)
def addresses(text: str) -> tuple[Address, ...]:
    """Return the address in a text, an IPv4-mapped IPv6 one also as IPv4; nothing for anything else."""
    try:
        found = ip_address(text)
    except ValueError:
        return ()
    mapped = isinstance(found, IPv6Address) and found.ipv4_mapped
    return (found, mapped) if mapped else (found,)


def networks(text: str) -> tuple[Network, ...]:
    """Return the network in a text, one of IPv4-mapped IPv6 addresses also as IPv4."""
    found = ip_network(text)
    if isinstance(found, IPv6Network) and found.prefixlen >= 96 and found.network_address.ipv4_mapped:
        return found, IPv4Network((found.network_address.ipv4_mapped, found.prefixlen - 96))
    return (found,)


def search(pattern: str) -> Callable[[str], object]:
    """Return the search of an RE2 pattern; raises RuleError with RE2's reason."""
    options = re2.Options()
    options.log_errors = False
    try:
        found: Callable[[str], object] = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else error
        raise RuleError(f"regular expression {pattern[:200]!r}: {reason}", step="rules") from None
    return found


def tokens(pattern: str) -> Iterator[str | None]:
    """Yield the parts of a ``like`` pattern: texts, None for a star, "" for a question mark."""
    for part in _TOKEN.findall(pattern):
        yield None if part == "*" else "" if part == "?" else part.removeprefix("\\") if len(part) == 2 else part


def like_pattern(pattern: str) -> str:
    """Return a ``like`` pattern as a regular expression on the whole text."""
    regex = "".join(".*" if part is None else re2.escape(part) or "." for part in tokens(pattern))
    return rf"(?s)\A{regex}\z"


def _text(test: Test) -> Accept:
    meets, wanted = _TEXT[test.op], test.value if test.cased else fold(test.value)
    if test.cased:
        return lambda cell, _: cell.raw is not None and meets(cell.text, wanted)
    return lambda cell, _: cell.raw is not None and meets(cell.folded, wanted)


def _like(test: Test) -> Accept:
    if not any(part is not None for part in tokens(test.value)):
        return lambda cell, _: cell.raw is not None
    found = search(like_pattern(test.value if test.cased else fold(test.value)))
    if test.cased:
        return lambda cell, _: cell.raw is not None and found(cell.text) is not None
    return lambda cell, _: cell.raw is not None and found(cell.folded) is not None


def _regular_expression(test: Test) -> Accept:
    found = search(test.value)
    return lambda cell, _: cell.raw is not None and found(cell.text) is not None


def _number(test: Test) -> Accept:
    compare, limit = _COMPARE[test.op], Decimal(test.value)
    if limit.is_nan():
        raise RuleError("'nan' is no number to compare with", step="rules")
    if test.part:
        return _time_part(_PART[test.part], compare, limit)

    def accept(cell: Cell, _: View) -> bool:
        found = number(cell.raw)
        return found is not None and compare(found, limit)

    return accept


def _time_part(part: Callable[[datetime], int], compare: Callable[[Number, Number], bool], limit: Number) -> Accept:
    def accept(cell: Cell, view: View) -> bool:
        moment = _moment(cell.text, view.zone)
        return moment is not None and compare(part(moment), limit)

    return accept


def _moment(text: str, zone: tzinfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(zone) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


def _network(test: Test) -> Accept:
    nets = networks(test.value)

    def accept(cell: Cell, _: View) -> bool:
        found = addresses(cell.raw) if isinstance(cell.raw, str) else ()
        return any(each in net for each in found for net in nets)  # of another version is never in

    return accept


def _field_reference(test: Test) -> Accept:
    meets, other = _TEXT[test.op.removesuffix("_field")], test.value

    def accept(cell: Cell, view: View) -> bool:
        if cell.raw is None:
            return False
        return any(theirs.raw is not None and meets(cell.folded, theirs.folded) for theirs in view.cells(other) or ())

    return accept


_ACCEPTORS: dict[Op, Callable[[Test], Accept]] = {
    "equals": _text,
    "startswith": _text,
    "endswith": _text,
    "contains": _text,
    "like": _like,
    "re": _regular_expression,
    "number": _number,
    "ne": _number,
    "lt": _number,
    "lte": _number,
    "gt": _number,
    "gte": _number,
    "cidr": _network,
    "equals_field": _field_reference,
    "startswith_field": _field_reference,
    "endswith_field": _field_reference,
    "contains_field": _field_reference,
}
