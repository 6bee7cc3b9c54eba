"""Where pySigma 1.5 and the Sigma specification part, corrected in pySigma's own registries.

* ``utf16le`` is a name of ``wide`` (Sigma modifiers appendix 2.1); pySigma knows only the latter.
* ``wide``, ``utf16``, ``utf16be`` encode any text, and base64 encodes their bytes: pySigma passes them on as text,
  which refuses what is not ASCII and writes the byte order mark as three bytes.
* ``base64offset`` trims by the number of bytes, not of characters; a literal ``*`` is encoded without its backslash.
* An integer above 2^53 keeps its value: pySigma takes it through a float.
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any, Self, cast

from sigma.exceptions import SigmaValueError
from sigma.modifiers import SigmaValueModifier, modifier_mapping
from sigma.types import SigmaExpansion, SigmaNumber, SigmaString, type_map

_START = (0, 2, 3)
_END = (None, -3, -2)


class ByteString(SigmaString):
    """A text that a modifier has encoded."""

    data: bytes

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Return the encoded text; outside base64 its bytes are compared as Latin-1 characters."""
        text = cls()
        text.data = data
        text.s = [data.decode("latin-1")]
        return text


def _bytes(value: SigmaString, what: str) -> bytes:
    if isinstance(value, ByteString):
        return value.data
    if not all(isinstance(part, str) for part in value.s):
        raise SigmaValueError(f"{what} of a value with wildcards or placeholders")
    return "".join(cast("list[str]", value.s)).encode()


class _Utf16(SigmaValueModifier[SigmaString, SigmaString]):
    codec = "utf-16-le"
    mark = b""

    def modify(self, val: SigmaString) -> SigmaString:
        return ByteString.of(self.mark + _bytes(val, "UTF-16").decode().encode(self.codec))


class _Utf16BigEndian(_Utf16):
    codec = "utf-16-be"


class _Utf16Marked(_Utf16):
    mark = b"\xff\xfe"


class _Base64(SigmaValueModifier[SigmaString, SigmaString]):
    def modify(self, val: SigmaString) -> SigmaString:
        return SigmaString.from_str(b64encode(_bytes(val, "base64")).decode())


class _Base64Offset(SigmaValueModifier[SigmaString, SigmaExpansion]):
    def modify(self, val: SigmaString) -> SigmaExpansion:
        data = _bytes(val, "base64offset")
        shifted = [b64encode(b" " * offset + data).decode() for offset in range(3)]
        return SigmaExpansion(
            [
                SigmaString.from_str(text[_START[offset] : _END[(len(data) + offset) % 3]])
                for offset, text in enumerate(shifted)
            ]
        )


class ExactNumber(SigmaNumber):
    """A number that keeps every digit of an integer."""

    number: int | float  # pySigma writes a value back by the first annotation of its class

    def __post_init__(self, init_number: Any) -> None:
        if isinstance(init_number, int):
            self.number = init_number
        else:
            super().__post_init__(init_number)


def install() -> None:
    """Put the corrections in place; pySigma's registries are the same for the whole process."""
    modifier_mapping.update(
        wide=_Utf16,
        utf16le=_Utf16,
        utf16be=_Utf16BigEndian,
        utf16=_Utf16Marked,
        base64=_Base64,
        base64offset=_Base64Offset,
    )
    type_map[int] = ExactNumber
