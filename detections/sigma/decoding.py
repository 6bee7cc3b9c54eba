"""Decoding of a record's JSON as far as the rules of a log source read it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import msgspec

from wardwatch.errors import DecodeError
from wardwatch.event import MAX_BYTES, Document, check, decode

MOST = 48  # fields; each key of a record is compared with every one: beyond it decoding everything is faster


def partial_decoder(fields: frozenset[str]) -> Callable[[bytes], Document]:
    """Return the function that decodes at least those top-level fields of a record; raises DecodeError as ``decode``.

    What other fields hold has to be JSON and is mostly not looked at otherwise.
    """
    if len(fields) > MOST:
        return decode
    wanted: Any = TypedDict("Wanted", dict.fromkeys(sorted(fields), Any), total=False)  # type: ignore[misc]
    take: Any = msgspec.json.Decoder(wanted).decode

    def partial(raw: bytes) -> Document:
        if len(raw) > MAX_BYTES:
            raise DecodeError(f"{len(raw)} bytes, at most {MAX_BYTES} are read", step="decode")
        try:
            doc: Document = take(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(f"not JSON: {error}", step="decode") from None
        check(doc)
        return doc

    return partial
