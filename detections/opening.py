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
    """Open a file, or standard input for ``-``; gzip is unpacked. Raises OSError, and ParseError for damaged gzip."""
    packed = sys.stdin.buffer if path == STDIN else path.open("rb")
    try:
        buffered = io.BufferedReader(cast("io.RawIOBase", packed), HEAD_BYTES)
        if buffered.peek(2).startswith(_GZIP):
            buffered = io.BufferedReader(cast("io.RawIOBase", _Unpacked(fileobj=buffered)), HEAD_BYTES)
        size = 0 if path == STDIN else path.stat().st_size
        yield Opened(cast("BinaryIO", buffered), buffered.peek(HEAD_BYTES), packed, size)
    finally:
        packed.close()


class _Unpacked(GzipFile):
    """What a gzip file holds, up to MAX_UNPACKED_BYTES."""

    _total = 0

    def read(self, size: int | None = -1) -> bytes:
        try:
            data = super().read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise ParseError(f"damaged gzip: {error}", step="read") from None
        self._total += len(data)
        if self._total > MAX_UNPACKED_BYTES:
            raise ParseError(f"more than {MAX_UNPACKED_BYTES} bytes in a gzip file", step="read")
        return data
