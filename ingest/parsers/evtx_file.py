"""EVTX files: their records as evtx_dump's JSON.

The reader of binary XML can loop for ever, holding the interpreter, on chunks that are damaged or forged. Checksums
find the damaged ones; for the others a file is read in a process of its own, limited in time and memory (this module,
run as a program: a file on standard input, on standard output each record behind its length in four big-endian bytes).
Source: libyal "Windows XML Event Log (EVTX) format" (file header, chunk header, checksums).
"""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import BytesIO
from typing import IO, BinaryIO
from zlib import crc32

from evtx import PyEvtxParser

MAGIC = b"ElfFile\x00"
CHUNK_S = 3  # of processor time; a full chunk takes about 0.02 s
MEMORY_BYTES = 2 * 2**30
PART_CHUNKS = 1024  # 64 MiB
_HEADER = 4096
_CHUNK = 65_536
_CHUNK_MAGIC = b"ElfChnk\x00"
_CHUNK_HEADER = 512


def evtx_parts(head: bytes, file: BinaryIO) -> Iterator[bytes]:
    """Yield a file that begins with ``head`` as EVTX files of at most PART_CHUNKS chunks."""
    header, rest = head[:_HEADER], head[_HEADER:]
    declared = int.from_bytes(header[42:44], "little")
    size = PART_CHUNKS * _CHUNK
    rest += file.read(max(size - len(rest), 0))
    while following := file.read(size):
        yield header[:42] + min(declared, PART_CHUNKS).to_bytes(2, "little") + header[44:] + rest
        declared, rest = max(declared - PART_CHUNKS, 0), following
    yield header[:42] + declared.to_bytes(2, "little") + header[44:] + rest


def evtx_records(data: bytes) -> Iterator[bytes]:
    """Yield every record as JSON, and for each damaged part a line that the parser refuses."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        with subprocess.Popen([sys.executable, "-m", __name__], stdin=file, stdout=subprocess.PIPE) as reader:  # noqa: S603 ourselves
            assert reader.stdout  # noqa: S101 a pipe was asked for
            try:
                yield from _received(reader.stdout)
                if reader.wait():
                    yield b"EVTX file can't be read to its end in the time and memory that are allowed"
            finally:
                reader.kill()


def _received(pipe: IO[bytes]) -> Iterator[bytes]:
    while size := int.from_bytes(pipe.read(4), "big"):
        if len(record := pipe.read(size)) == size:
            yield record


def main() -> None:
    """Read a file from standard input and write its records to standard output, within the limits."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that reads the records
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for record in read_records(sys.stdin.buffer.read()):
        sys.stdout.buffer.write(len(record).to_bytes(4, "big") + record)
    sys.stdout.buffer.flush()


def read_records(data: bytes) -> Iterator[bytes]:
    """Yield what ``evtx_records`` does, in this process."""
    header = data[:_HEADER]
    declared = int.from_bytes(header[42:44], "little")
    chunks = [data[start : start + _CHUNK] for start in range(_HEADER, len(data), _CHUNK)]
    if len(header) < _HEADER or len(chunks) < declared:
        yield b"EVTX file cut short"
    for number, chunk in enumerate(chunks):
        if _is_sound(chunk):
            _limit_time()
            yield from _chunk_records(header[:42] + b"\x01\x00" + header[44:] + chunk)
        elif chunk.strip(b"\x00") and len(header) == _HEADER:
            yield b"EVTX chunk %d does not match its checksum" % number


def _limit_time() -> None:
    """Let the kernel end this process when it computes for CHUNK_S seconds more."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, highest = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (int(usage.ru_utime + usage.ru_stime) + 1 + CHUNK_S, highest))


def _chunk_records(file: bytes) -> Iterator[bytes]:
    """Yield the records of a file of one chunk, up to the first that can't be read."""
    try:
        for record in PyEvtxParser(BytesIO(file)).records_json():
            yield record["data"].encode() if record else b"EVTX record damaged"
    except (OSError, RuntimeError):
        yield b"EVTX record damaged"


def _is_sound(chunk: bytes) -> bool:
    if len(chunk) < _CHUNK or not chunk.startswith(_CHUNK_MAGIC):
        return False
    end, data_sum = int.from_bytes(chunk[48:52], "little"), int.from_bytes(chunk[52:56], "little")
    if not _CHUNK_HEADER <= end <= _CHUNK or crc32(chunk[_CHUNK_HEADER:end]) != data_sum:
        return False
    return crc32(chunk[:120] + chunk[128:_CHUNK_HEADER]) == int.from_bytes(chunk[124:128], "little")


if __name__ == "__main__":
    main()
