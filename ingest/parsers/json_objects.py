"""Files of JSON objects, however they are strung together."""

from __future__ import annotations

import re
from collections.abc import Iterator

import orjson

# a string (to the end of the text when it is not closed, so that scanning stays linear), or a brace
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"?|[{}]', re.S)
_BETWEEN = b" \t\r\n,[]\x00\xef\xbb\xbf"


def json_objects(data: bytes) -> Iterator[bytes]:
    """Cut a file into its top-level JSON objects: one a line, concatenated, pretty-printed, with commas or in an array.

    A brace at the start of a line always opens a new record, so a record that was cut spoils no other one. What is
    neither object nor punctuation comes out as a record too, so that its parser refuses it by number.
    """
    start = 0
    while start < len(data):
        end = data.find(b"\n{", start) + 1 or len(data)
        chunk = data[start:end].strip(_BETWEEN)
        if _is_json(chunk):
            yield chunk
        else:
            yield from _cut(chunk)
        start = end


def _is_json(chunk: bytes) -> bool:
    try:
        orjson.loads(chunk)
    except orjson.JSONDecodeError:
        return False
    return True


def _cut(chunk: bytes) -> Iterator[bytes]:
    depth = start = 0
    for token in _TOKEN.finditer(chunk):
        if token[0] == b"{":
            if depth == 0:
                yield from _rest(chunk[start : token.start()])
                start = token.start()
            depth += 1
        elif token[0] == b"}" and depth:
            depth -= 1
            if depth == 0:
                yield chunk[start : token.end()]
                start = token.end()
    yield from _rest(chunk[start:])


def last_end(data: bytes) -> int:
    """Return where the last complete top-level object ends; 0 where none does."""
    depth = end = 0
    for token in _TOKEN.finditer(data):
        if token[0] == b"{":
            depth += 1
        elif token[0] == b"}" and depth:
            depth -= 1
            end = end if depth else token.end()
    return end


def _rest(between: bytes) -> Iterator[bytes]:
    found = between.strip(_BETWEEN)
    if found:
        yield found
