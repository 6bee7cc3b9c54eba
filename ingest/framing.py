"""Framing: bytes of a connection cut into records. Pure; what can't be cut is a FrameError, and the connection ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Protocol

from wardwatch.errors import ParseError

MAX_FRAME_BYTES = 2**20
_COUNT = re.compile(rb"([1-9]\d{0,8}) (?=<)")
_COUNT_BEGUN = re.compile(rb"[1-9]\d{0,8} ?\Z")


class FrameError(ParseError):
    """The bytes of a connection are no frames; ``rest`` is where cutting ended, ``frames`` were cut before."""

    def __init__(self, reason: str, rest: bytes, frames: list[bytes]) -> None:
        super().__init__(reason, step="framing")
        self.rest = rest
        self.frames = frames


class Framing(Protocol):
    """Cuts one connection's bytes; remembers at most MAX_FRAME_BYTES."""

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames completed by ``data``; raises FrameError."""

    def end(self) -> list[bytes]:
        """Return what the end of the connection completes; raises FrameError for half a frame."""

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that has begun."""

    @property
    def size(self) -> int:
        """The number of its bytes."""


@dataclass
class SyslogFraming:
    """Syslog over TCP: octet counting or lines, told apart per frame (RFC 6587, 3.4; RFC 5425, 4.3 with TLS).

    A count is digits, a space, and a message that begins with ``<``; everything else is a line, such as one that
    begins with a date. After a counted frame only a frame may follow: other bytes mean that the count was wrong.
    """

    _rest: bytearray = field(default_factory=bytearray)
    _counted: bool = False

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that has begun."""
        return bytes(self._rest)

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the frames completed by ``data``; raises FrameError."""
        self._rest += data
        frames: list[bytes] = []
        while (frame := self._next(frames)) is not None:
            frames.append(frame)
        return frames

    def end(self) -> list[bytes]:
        """Return a last line without its line feed; raises FrameError for a counted frame that is not complete."""
        if self._counted and self._rest.strip():
            raise FrameError("half a frame at the end of the connection", bytes(self._rest), [])
        return [bytes(self._rest)] if self._rest.strip() else []

    def _next(self, frames: list[bytes]) -> bytes | None:
        if self._rest[:1].isdigit():
            if count := _COUNT.match(self._rest):
                self._counted = True
                return self._cut_counted(int(count[1]), count.end(), frames)
            if _COUNT_BEGUN.match(self._rest):
                return None
        return self._cut_line(frames)

    def _cut_counted(self, size: int, start: int, frames: list[bytes]) -> bytes | None:
        if size > MAX_FRAME_BYTES:
            raise FrameError(f"a frame of {size} bytes is announced", bytes(self._rest), frames)
        if len(self._rest) < start + size:
            return None
        frame = bytes(self._rest[start : start + size])
        del self._rest[: start + size]
        return frame

    def _cut_line(self, frames: list[bytes]) -> bytes | None:
        if self._counted and self._rest and self._rest[:1] not in b"<\r\n":
            raise FrameError("a wrong octet count came before", bytes(self._rest), frames)
        end = self._rest.find(b"\n")
        if end < 0 and len(self._rest) > MAX_FRAME_BYTES:
            raise FrameError(f"a line of more than {MAX_FRAME_BYTES} bytes", bytes(self._rest), frames)
        if end < 0:
            return None
        frame = bytes(self._rest[:end]).rstrip(b"\r")
        del self._rest[: end + 1]
        self._counted = False
        return frame


@dataclass
class MllpFraming:
    """HL7 minimal lower layer protocol: 0x0B, message, 0x1C 0x0D (HL7 v2.5, appendix C)."""

    _rest: bytearray = field(default_factory=bytearray)

    @property
    def pending(self) -> bytes:
        """The bytes of a frame that has begun."""
        return bytes(self._rest)

    @property
    def size(self) -> int:
        """The number of its bytes."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the messages completed by ``data``; white space between frames is skipped; raises FrameError."""
        self._rest += data
        frames: list[bytes] = []
        while self._skip_space(frames) and (end := self._rest.find(b"\x1c\r")) >= 0:
            frames.append(bytes(self._rest[1:end]))
            del self._rest[: end + 2]
        if len(self._rest) > MAX_FRAME_BYTES:
            raise FrameError(f"a message of more than {MAX_FRAME_BYTES} bytes", bytes(self._rest), frames)
        return frames

    def end(self) -> list[bytes]:
        """Return nothing; raises FrameError for half a message."""
        if self._rest:
            raise FrameError("half a message at the end of the connection", bytes(self._rest), [])
        return []

    def _skip_space(self, frames: list[bytes]) -> bool:
        self._rest = self._rest.lstrip(b"\r\n ")
        if self._rest and self._rest[0] != 0x0B:
            raise FrameError("no 0x0B at the start of a message", bytes(self._rest), frames)
        return bool(self._rest)
