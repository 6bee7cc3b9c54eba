"""EVTX files: their records as evtx_dump's JSON.

Chunks are checked against their checksums first: the reader of binary XML can loop for ever on damaged ones. Source:
libyal "Windows XML Event Log (EVTX) format" (file header, chunk header, checksums).
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from zlib import crc32

from evtx import PyEvtxParser

MAGIC = b"ElfFile\x00"
_HEADER = 4096
_CHUNK = 65_536
_CHUNK_MAGIC = b"ElfChnk\x00"
_CHUNK_HEADER = 512


def evtx_records(data: bytes) -> Iterator[bytes]:
    """Yield every record as JSON, and for each damaged part a line that the parser refuses."""
    header = data[:_HEADER]
    declared = int.from_bytes(header[42:44], "little")
    chunks = [data[start : start + _CHUNK] for start in range(_HEADER, len(data), _CHUNK)]
    if len(header) < _HEADER or len(chunks) < declared:
        yield b"EVTX file cut short"
    for number, chunk in enumerate(chunks):
        if _is_sound(chunk):
            yield from _chunk_records(header[:42] + b"\x01\x00" + header[44:] + chunk)
        elif chunk.strip(b"\x00") and len(header) == _HEADER:
            yield b"EVTX chunk %d does not match its checksum" % number


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
