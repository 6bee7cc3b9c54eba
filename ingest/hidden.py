"""What hides in a text: parts that are base64, percent-encoded, hexadecimal, or written in escapes, also compressed.

A part that decodes to text is judged by its reader; the rest, such as keys and hashes, is nobody's and stays.
"""

from __future__ import annotations

import binascii
import html
import re
import zlib
from collections.abc import Callable, Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

ENCODED = "[encoded]"
MAX_DECODED = 1 << 20  # of what is decompressed
_MAX_RUN = 1 << 18
_MAX_SLASHES = 16  # of one run that may be a path

_RUN = "[A-Za-z0-9+/_-]"
_PARTS = re.compile(
    # what is no part is passed over at once: words and other characters, and marks that begin none
    rf"(?P<before>(?:{_RUN}{{1,19}}+(?!{_RUN})|[^%\\&A-Za-z0-9+/_-]++"
    r"|%(?!(?:25){0,3}[0-9A-Fa-f]{2})|\\(?!\\{0,3}u[0-9A-Fa-f]{4})|&(?!\#x?[0-9A-Fa-f]{1,6};))*+)"
    r"(?:(?P<percent>(?:%(?:25){0,3}[0-9A-Fa-f]{2}[\w.+-]{0,64})+)"
    r"|(?P<escapes>(?:\\{1,4}u[0-9A-Fa-f]{4}[ -~]{0,3}?)+)"
    r"|(?P<entities>(?:&\#x?[0-9A-Fa-f]{1,6};[ -%'-~]{0,3}?)+)"
    rf"|(?P<base64>{_RUN}{{20,}}={{0,2}})|\Z)",
)
_ESCAPE = re.compile(r"\\{1,4}u([0-9A-Fa-f]{4})")
_SLASH = re.compile("/")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){8,}")
_TEXT = re.compile(r"[\t\r\n\x0b\x1c -~\u00a0-\u024f\u2010-\u2026\u3000-\u303f\u3400-\u9fff\uff00-\uffef]+")
_GZIP, _ZLIB_BY_HEADER = b"\x1f\x8b", 32 + zlib.MAX_WBITS


def replaced(text: str, is_identifying: Callable[[str, str], bool]) -> str:
    """Return text with ``[encoded]`` for the encoded parts, given by kind and text, that are identifying."""

    def replacement(found: re.Match[str]) -> str:
        if found.lastgroup == "before":
            return found[0]
        kind = found.lastgroup or ""
        return found["before"] + ENCODED if is_identifying(kind, found[kind]) else found[0]

    return _PARTS.sub(replacement, text)


def decoded(kind: str, part: str) -> Iterator[str]:
    """Yield the texts that a part may be."""
    match kind:
        case "percent":
            yield from _texts(unquote_to_bytes(part.replace("%25", "%").replace("+", " ")))
        case "escapes":
            yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), part)
        case "entities":
            yield html.unescape(part)
        case _ if len(part) <= _MAX_RUN:
            for start in _starts(part):
                yield from _of_run(part[start:])


def _of_run(run: str) -> Iterator[str]:
    hexadecimal = _HEX.match(run)
    if hexadecimal:
        yield from _texts(bytes.fromhex(hexadecimal[0]))
    if hexadecimal is None or hexadecimal.end() < len(run):  # not a key or a hash
        yield from _texts(_base64(run))
        yield from _texts(_base64(run.partition("/")[0]))


def _starts(part: str) -> Iterator[int]:
    """Yield where base64 may begin: at the start and behind the first slashes, which paths have as well."""
    yield 0
    slashes = (found.end() for found in _SLASH.finditer(part))
    yield from islice(slashes, _MAX_SLASHES)


def _base64(part: str) -> bytes:
    standard = part.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return binascii.a2b_base64(standard[: len(standard) - (len(standard) % 4 == 1)] + "==")
    except binascii.Error:
        return b""


def _texts(data: bytes) -> Iterator[str]:
    """Yield the texts that bytes may be in the character sets of hospitals, decompressed first."""
    if data.startswith((_GZIP, b"\x78\x01", b"\x78\x9c", b"\x78\xda")):
        data = _inflated(data)
    for charset in ("utf-8", "gb18030", "utf-16-le"):
        try:
            text = data.decode(charset)
        except UnicodeError:
            continue
        if _TEXT.fullmatch(text):
            yield text


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(_ZLIB_BY_HEADER).decompress(data, MAX_DECODED)
    except zlib.error:
        return b""
