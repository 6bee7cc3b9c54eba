"""Rows of a database as JSON objects, and the values of their cursor columns as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any
from uuid import UUID

import orjson

from ingest.framing import MAX_FRAME_BYTES
from wardwatch.errors import Unavailable
from wardwatch.event import MAX_INTEGER

MAX_VALUE_CHARS = 256 * 1024
Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the values of its cursor columns, and its record."""

    key: Values
    data: bytes

    @property
    def digest(self) -> bytes:
        """What tells rows apart that share their cursor."""
        return blake2b(self.data, digest_size=16).digest()


def record(columns: Iterable[str], values: Iterable[Any], charset: str = "utf-8") -> bytes:
    """Return the JSON object of a row, its text cut at MAX_VALUE_CHARS and the whole at MAX_FRAME_BYTES.

    A time with a zone is written in UTC; one without stays without, since only the parser knows whose it is. Bytes are
    read as UTF-8 or in the site's character set, and are hexadecimal digits where they are no text.
    """
    plain = {name: _plain(value, charset) for name, value in zip(columns, values, strict=True)}
    return orjson.dumps(plain)[:MAX_FRAME_BYTES]


def _plain(value: Any, charset: str) -> Any:
    match value:
        case None | bool() | float() | orjson.Fragment():
            return value
        case list() | dict():
            return orjson.Fragment(orjson.dumps(value, default=str))
        case int():
            return value if abs(value) <= MAX_INTEGER else str(value)
        case str():
            return value[:MAX_VALUE_CHARS].encode("utf-8", "replace").decode()
        case Decimal():
            return _number(value)
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date():
            return value.isoformat()
        case bytes() | bytearray() | memoryview():
            return _text(bytes(value[:MAX_VALUE_CHARS]), charset)
        case _:
            return str(value)[:MAX_VALUE_CHARS]


def _number(value: Decimal) -> int | str:
    """Return a whole number as one, any other as its exact digits."""
    if value.is_finite() and abs(value) <= MAX_INTEGER and value == value.to_integral_value():
        return int(value)
    return str(value)


def json_column(data: bytes | str) -> orjson.Fragment | str:
    """Return the content of a JSON column as it is; where it nests too deep or is no Unicode, as text."""
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return data if isinstance(data, str) else data.decode("utf-8", "replace")
    return orjson.Fragment(data)


def _text(value: bytes, charset: str) -> str:
    for encoding in ("utf-8", charset):
        try:
            text = value.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
        if "".join(text.split()).isprintable():
            return text
    return value.hex()


_KINDS: dict[str, tuple[type, Callable[[Any], str], Callable[[str], Any]]] = {
    "int": (int, str, int),
    "number": (Decimal, str, Decimal),
    "float": (float, repr, float),
    "time": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "uuid": (UUID, str, UUID),
    "text": (str, str, str),
}


def write_cursor(columns: Sequence[str], key: Values) -> str:
    """Return the cursor of a row, with the names of its columns; raises Unavailable for a type that has no order."""
    return orjson.dumps({"columns": list(columns), "values": [_written(value) for value in key]}).decode()


def _written(value: Any) -> tuple[str, str]:
    for kind, (its, write, _) in _KINDS.items():
        if type(value) is its:
            return kind, write(value)
    raise Unavailable(f"a cursor column holds {type(value).__name__}: cast it to a number, a time or text in the query")


def read_cursor(columns: Sequence[str], cursor: str) -> Values:
    """Return the values that a cursor stands for; raises Unavailable when it is of other columns."""
    try:
        found = orjson.loads(cursor)
        if found["columns"] == list(columns):
            return tuple(_KINDS[kind][2](text) for kind, text in found["values"])
    except (ValueError, KeyError, TypeError, ArithmeticError):
        raise Unavailable("the cursor file is damaged: move it away to ask for everything again") from None
    raise Unavailable(f"the cursor file is of {', '.join(found['columns'])}: move it away to ask for everything again")


def named(columns: Sequence[str], key: Values) -> str:
    """Return the cursor columns and values of a row for people; text may identify somebody and is hashed."""
    return ",".join(f"{name}={_shown(value)}" for name, value in zip(columns, key, strict=True))


def _shown(value: Any) -> str:
    if isinstance(value, str | bytes):
        raw = value.encode("utf-8", "replace") if isinstance(value, str) else value
        return blake2b(raw, digest_size=8).hexdigest()
    return str(_plain(value, "utf-8"))
