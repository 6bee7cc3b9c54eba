"""How records travel to a relay: a MessagePack array of records in one LZ4 frame.

LZ4 is what the Kafka adapter compresses by too; both ends bound what they unpack. docs/operator/relay.md has the form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import lz4.frame
import msgspec

from wardwatch.bus import MAX_RECORD_BYTES
from wardwatch.errors import DecodeError

RECORDS = "/v1/records"
TENANT = "/v1/tenant"
AUTHORITY = "/v1/authority"
ENROL = "/v1/enrol"
RENEW = "/v1/renew"
CONFIG = "/v1/config"
MEDIA_TYPE = "application/vnd.wardwatch.records+msgpack-lz4"

BATCH_BYTES = 2**20
"""A producer sends a batch when its records have so many bytes; the last one may be as large as a record may be."""
BATCH_RECORDS = 5_000
MAX_UNPACKED_BYTES = 2 * (BATCH_BYTES + MAX_RECORD_BYTES)
MAX_PACKED_BYTES = MAX_UNPACKED_BYTES
_HEADERS = 64


class WireRecord(msgspec.Struct, array_like=True, frozen=True):
    """One record: topic, value (nil is a tombstone), key and headers."""

    topic: str
    value: bytes | None
    key: str | None = None
    headers: Annotated[dict[str, str], msgspec.Meta(max_length=_HEADERS)] = {}


_decoder = msgspec.msgpack.Decoder(Annotated[list[WireRecord], msgspec.Meta(min_length=1, max_length=BATCH_RECORDS)])


def pack(records: Sequence[WireRecord]) -> bytes:
    """Return a batch as it travels."""
    return bytes(lz4.frame.compress(msgspec.msgpack.encode(records)))


def unpack(body: bytes) -> list[WireRecord]:
    """Return a batch's records; raises DecodeError for all that ``pack`` does not make, unpacking no more than that."""
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        data = decompressor.decompress(body, MAX_UNPACKED_BYTES)
    except RuntimeError as error:
        raise DecodeError(f"no LZ4 frame: {error}", step="relay") from None
    if not decompressor.eof or decompressor.unused_data:
        reason = f"an LZ4 frame that is cut short, goes on, or unpacks to more than {MAX_UNPACKED_BYTES} bytes"
        raise DecodeError(reason, step="relay")
    try:
        records: list[WireRecord] = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"no batch of records: {error}", step="relay") from None
    return records
