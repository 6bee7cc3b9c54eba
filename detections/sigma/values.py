"""Rule values compiled: does one value of an event meet one value of a rule?"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from datetime import datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

import re2  # type: ignore[import-untyped]
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
    TimestampPart,
)

from detections.sigma.view import Cell, View, fold
from wardwatch.errors import RuleError

Accept = Callable[[Cell, View], bool]
Number = int | float | Decimal

_ANY = SpecialChars.WILDCARD_MULTI
_DECIMAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,4})?")
_COMPARE: dict[CompareOperators, Callable[[Number, Number], bool]] = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
    CompareOperators.NEQ: operator.ne,
}
_PART: dict[TimestampPart, Callable[[datetime], int]] = {
    TimestampPart.MINUTE: lambda moment: moment.minute,
    TimestampPart.HOUR: lambda moment: moment.hour,
    TimestampPart.DAY: lambda moment: moment.day,
    TimestampPart.WEEK: lambda moment: moment.isocalendar().week,
    TimestampPart.MONTH: lambda moment: moment.month,
    TimestampPart.YEAR: lambda moment: moment.year,
}


def compile_value(value: SigmaType, rename: Callable[[str], str]) -> Accept:
    """Return the test of a rule's value; ``rename`` maps the field of a field reference. Raises RuleError."""
    if isinstance(value, SigmaExpansion):
        return _any_of([compile_value(item, rename) for item in value.values])
    if isinstance(value, SigmaFieldReference):
        return _field_reference(value, rename(value.field.strip()))
    if isinstance(value, SigmaString):
        return _string(value)
    if isinstance(value, SigmaRegularExpression):
        return _regular_expression(value)
    if isinstance(value, SigmaCompareExpression):
        return _comparison(value)
    if isinstance(value, SigmaTimestampPart):
        return _time_part(value, operator.eq)
    if isinstance(value, SigmaNumber):
        return _number_equal(value.number)
    if isinstance(value, SigmaBool):
        expected = "true" if value.boolean else "false"
        return lambda cell, _: cell.folded == expected
    if isinstance(value, SigmaCIDRExpression):
        return _network(value.network)
    raise RuleError(f"values of type {type(value).__name__} are not evaluated", step="rules")


def compile_keyword(value: SigmaType) -> Accept:
    """Return the test of a value without field: it occurs somewhere in a value of the event. Raises RuleError."""
    if isinstance(value, SigmaExpansion):
        return _any_of([compile_keyword(item) for item in value.values])
    if isinstance(value, SigmaNumber) and not isinstance(value, SigmaTimestampPart):
        value = SigmaString(str(value.number))
    if isinstance(value, SigmaString):
        return _string(_ANY + value + _ANY)
    if isinstance(value, SigmaRegularExpression):
        return _regular_expression(value)
    raise RuleError(f"a keyword can't be a {type(value).__name__}", step="rules")


def number(cell: Cell) -> Number | None:
    """Return a number, or a text that is one in decimal notation, without loss; None for anything else."""
    raw = cell.raw
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return raw
    if isinstance(raw, str) and _DECIMAL.fullmatch(raw):
        return Decimal(raw)
    return None


def _any_of(accepts: list[Accept]) -> Accept:
    return lambda cell, view: any(accept(cell, view) for accept in accepts)


def _string(value: SigmaString) -> Accept:
    parts = list(value.s)
    for part in parts:
        if isinstance(part, Placeholder):
            raise RuleError(f"placeholder %{part.name}% has no values", step="rules", remedy="name a lookup table")
    cased = isinstance(value, SigmaCasedString)
    if not cased:
        parts = [fold(part) if isinstance(part, str) else part for part in parts]
    starts, ends = parts[:1] == [_ANY], parts[-1:] == [_ANY]
    inner = parts[starts : len(parts) - ends or None] if parts != [_ANY] else []
    while inner[:1] == [_ANY] and starts:
        inner = inner[1:]
    while inner[-1:] == [_ANY] and ends:
        inner = inner[:-1]
    if all(isinstance(part, str) for part in inner):
        test = _plain("".join(str(part) for part in inner), open_start=starts, open_end=ends)
    else:
        test = _wildcards(parts)
    if cased:
        return lambda cell, _: cell.raw is not None and test(cell.text)
    return lambda cell, _: cell.raw is not None and test(cell.folded)


def _plain(literal: str, *, open_start: bool, open_end: bool) -> Callable[[str], bool]:
    if open_start and open_end:
        return lambda text: literal in text
    if open_start:
        return lambda text: text.endswith(literal)
    if open_end:
        return lambda text: text.startswith(literal)
    return lambda text: text == literal


def _wildcards(parts: list[str | SpecialChars | Placeholder]) -> Callable[[str], bool]:
    pattern = "".join(re2.escape(part) if isinstance(part, str) else ".*" if part is _ANY else "." for part in parts)
    found = _search(rf"(?s)\A{pattern}\z")
    return lambda text: found(text) is not None


def _search(pattern: str) -> Callable[[str], object]:
    options = re2.Options()
    options.log_errors = False
    try:
        search: Callable[[str], object] = re2.compile(pattern, options).search
    except (re2.error, UnicodeEncodeError) as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args and isinstance(error.args[0], bytes) else error
        raise RuleError(f"regular expression {pattern[:200]!r}: {reason}", step="rules") from None
    return search


def _regular_expression(value: SigmaRegularExpression) -> Accept:
    if value.contains_placeholder():
        raise RuleError(f"a placeholder in {str(value.regexp)[:200]!r} has no values", step="rules")
    flags = "".join(sorted(SigmaRegularExpression.sigma_to_re_flag[flag] for flag in value.flags))
    found = _search(f"(?{flags}){value.regexp}" if flags else str(value.regexp))
    return lambda cell, _: cell.raw is not None and found(cell.text) is not None


def _number_equal(expected: Number) -> Accept:
    def accept(cell: Cell, _: View) -> bool:
        value = number(cell)
        return value is not None and value == expected

    return accept


def _comparison(value: SigmaCompareExpression) -> Accept:
    compare, limit = _COMPARE[value.op], value.number
    if isinstance(limit, SigmaTimestampPart):
        return _time_part(limit, compare)

    def accept(cell: Cell, _: View) -> bool:
        found = number(cell)
        return found is not None and compare(found, limit.number)

    return accept


def _time_part(value: SigmaTimestampPart, compare: Callable[[Number, Number], bool]) -> Accept:
    part = _PART[value.timestamp_part]

    def accept(cell: Cell, view: View) -> bool:
        moment = _moment(cell.text, view.zone)
        return moment is not None and compare(part(moment), value.number)

    return accept


def _moment(text: str, zone: tzinfo) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(zone) if moment.tzinfo else moment
    except (ValueError, OverflowError):
        return None


@lru_cache(maxsize=8192)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def _network(network: IPv4Network | IPv6Network) -> Accept:
    if isinstance(network, IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        network = IPv4Network((network.network_address.ipv4_mapped, network.prefixlen - 96))

    def accept(cell: Cell, _: View) -> bool:
        address = _address(cell.raw) if isinstance(cell.raw, str) else None
        return address is not None and address.version == network.version and address in network

    return accept


def _field_reference(value: SigmaFieldReference, other: str) -> Accept:
    def equal(mine: str, theirs: str) -> bool:
        if value.starts_with and value.ends_with:
            return theirs in mine
        if value.starts_with:
            return mine.startswith(theirs)
        return mine.endswith(theirs) if value.ends_with else mine == theirs

    def accept(cell: Cell, view: View) -> bool:
        if cell.raw is None:
            return False
        return any(theirs.raw is not None and equal(cell.folded, theirs.folded) for theirs in view.cells(other) or ())

    return accept
