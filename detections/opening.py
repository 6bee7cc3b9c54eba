"""Files that a scan is asked to read: found in folders, opened, unpacked."""

from __future__ import annotations

import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from gzip import GzipFile
from pathlib import Path
from typing import BinaryIO, cast

from wardwatch.errors import ParseError

HEAD_BYTES = 256 * 1024
MAX_UNPACKED_BYTES = 64 * 2**30
STDIN = Path("-")
_GZIP = b"\x1f\x8b"


@dataclass(frozen=True, slots=True)
class Opened:
    """A file as its records are read from it, its first bytes, and the file on disk, whose position is the progress."""

    stream: BinaryIO
    head: bytes
    packed: BinaryIO
    size_bytes: int = 0

    def position(self) -> int:
        """Return how many bytes on disk are read."""
        return self.packed.tell()


def walked(paths: Sequence[Path]) -> list[Path]:
    """Return every file of the paths, the regular ones of folders in order of their names."""
    return [file for path in paths for file in (_inside(path) if path.is_dir() else [path])]


def _inside(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file()]  # opening a pipe would wait for ever


def size_bytes(files: Sequence[Path]) -> int | None:
    """Return the size of the files together; None where standard input is among them."""
    return None if STDIN in files else sum(file.stat().st_size for file in files if file.exists())


@contextmanager
def opened(path: Path) -> Iterator[Opened]:
    """Open a file, or standard input for ``-``; gzip is unpacked.

    Raises OSError; ParseError for damaged gzip, when all that lies before the damage is read.
    """
    packed = sys.stdin.buffer if path == STDIN else path.open("rb")
    try:
        stream = io.BufferedReader(cast("io.RawIOBase", packed), HEAD_BYTES)
        unpacked = _Unpacked(fileobj=stream) if stream.peek(2).startswith(_GZIP) else None
        if unpacked is not None:
            stream = io.BufferedReader(cast("io.RawIOBase", unpacked), HEAD_BYTES)
        head = stream.peek(HEAD_BYTES)
        if unpacked is not None and not head:
            unpacked.check()
        yield Opened(cast("BinaryIO", stream), head, packed, 0 if path == STDIN else path.stat().st_size)
        if unpacked is not None:
            unpacked.check()
    finally:
        packed.close()


class _Unpacked(GzipFile):
    """What a gzip file holds, up to MAX_UNPACKED_BYTES and up to its first ``damage``."""

    damage = ""
    _total = 0

    def check(self) -> None:
        """Raise ParseError when damage was met."""
        if self.damage:
            raise ParseError(f"damaged gzip: {self.damage}", step="read")

    def read(self, size: int | None = -1) -> bytes:
        try:
            data = super().read1(-1 if size is None else size)  # read would lose what it has when the damage comes
        except (OSError, EOFError, zlib.error) as error:
            self.damage = str(error)
            return b""
        self._total += len(data)
        if self._total > MAX_UNPACKED_BYTES:
            raise ParseError(f"more than {MAX_UNPACKED_BYTES} bytes in a gzip file", step="read")
        return data
