"""Basic encoding rules as SNMP has them (X.690; RFC 3417, 8): one-octet tags, definite lengths."""

from __future__ import annotations

from collections.abc import Iterator

from wardwatch.errors import ParseError

INTEGER, OCTETS, NULL, OBJECT, SEQUENCE = 0x02, 0x04, 0x05, 0x06, 0x30
_MAX_LENGTH_OCTETS = 4
_MAX_ARCS = 128  # RFC 2578, 3.5


class BerError(ParseError):
    """Octets that are no BER."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, step="snmp")


class Reader:
    """Reads the elements of octets from ``at`` up to ``end``, in place, so that an offset means the whole message."""

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def element(self) -> tuple[int, int, int]:
        """Return tag, begin and end of the next element's content; raises BerError."""
        if self.at + 2 > self.end:
            raise BerError("a message ends too early")
        tag, length = self.data[self.at], self.data[self.at + 1]
        begin = self.at + 2
        if length > 0x7F:
            count = length & 0x7F
            if not 0 < count <= _MAX_LENGTH_OCTETS:
                raise BerError("a length that SNMP does not use")
            length = int.from_bytes(self.data[begin : begin + count], "big")
            begin += count
        if begin + length > self.end:
            raise BerError("an element is longer than its message")
        self.at = begin + length
        return tag, begin, self.at

    def inside(self, *tags: int) -> Reader:
        """Return a reader of the next element's content; raises BerError unless its tag is one of these."""
        tag, begin, end = self.element()
        if tag not in tags:
            raise BerError(f"tag {tag:#x} where {tags[0]:#x} belongs")
        return Reader(self.data, begin, end)

    def octets(self, tag: int = OCTETS) -> bytes:
        """Return the content of the next element; raises BerError unless it has this tag."""
        inner = self.inside(tag)
        return self.data[inner.at : inner.end]

    def integer(self) -> int:
        """Return the next INTEGER; raises BerError."""
        return integer_of(self.octets(INTEGER))

    def rest(self) -> Iterator[Reader]:
        """Yield a reader of each SEQUENCE that follows; raises BerError."""
        while self.at < self.end:
            yield self.inside(SEQUENCE)


def integer_of(content: bytes, *, signed: bool = True) -> int:
    """Return a number of at most 64 bits; raises BerError."""
    value = int.from_bytes(content[:10], "big", signed=signed)
    if not content or not -(2**63) <= value < 2**64:
        raise BerError("a number of more than 64 bits, or of none")
    return value


def object_of(content: bytes) -> str:
    """Return an object identifier in dots (X.690, 8.19); raises BerError."""
    arcs: list[int] = []
    value = 0
    for octet in content:
        value = value << 7 | octet & 0x7F
        if value > 0xFFFFFFFF:
            raise BerError("an object identifier with an arc of more than 32 bits")
        if not octet & 0x80:
            arcs.append(value)
            value = 0
    if not arcs or content[-1] & 0x80 or len(arcs) > _MAX_ARCS:
        raise BerError("no object identifier")
    first = min(arcs[0] // 40, 2)
    return ".".join(map(str, (first, arcs[0] - 40 * first, *arcs[1:])))


def element(tag: int, *contents: bytes) -> bytes:
    """Return an element."""
    content = b"".join(contents)
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def integer(value: int, tag: int = INTEGER) -> bytes:
    """Return an INTEGER, or another kind of number."""
    return element(tag, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def object_identifier(dotted: str) -> bytes:
    """Return an OBJECT IDENTIFIER."""
    first, second, *others = map(int, dotted.split("."))
    return element(OBJECT, *map(_arc, (40 * first + second, *others)))


def _arc(value: int) -> bytes:
    octets = [value & 0x7F]
    while value := value >> 7:
        octets.append(0x80 | value & 0x7F)
    return bytes(reversed(octets))
