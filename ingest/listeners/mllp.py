"""HL7 v2 over MLLP: every message is answered, with AA only when it is durable (HL7 v2.5, 2.9.2 and appendix C)."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from datetime import UTC, datetime

from ingest.framing import MllpFraming
from ingest.intake import Intake, Source
from ingest.listeners.tcp import TcpListener
from ingest.parsers import Record
from wardwatch.errors import Unavailable

_CODES = {"forwarded": b"AA", "filtered": b"AA", "dead_lettered": b"AR"}
_REASONS = {b"AA": b"", b"AE": b"not stored now, send again later", b"AR": b"not understood, kept for review"}


def mllp_listener(source: Source, intake: Intake) -> TcpListener:
    """Return the listener of an MLLP source."""
    return TcpListener(source, intake, framing=MllpFraming, answer=take_messages)


def take_messages(intake: Intake, source: Source, records: Sequence[Record], _: threading.Event) -> bytes:
    """Take the messages and return an acknowledgement for each: AA durable, AR dead-lettered, AE not taken."""
    try:
        codes = [_CODES[kind] for kind in intake.accept(source, records)]
    except Unavailable:
        codes = [b"AE"] * len(records)
    answers = (acknowledge(record.data, code) for record, code in zip(records, codes, strict=True))
    return b"".join(b"\x0b" + answer + b"\x1c\r" for answer in answers)


def acknowledge(message: bytes, code: bytes) -> bytes:
    """Return the ACK of a message: its control id, sender and receiver swapped, its character set and separators."""
    header = message.lstrip().split(b"\r", 1)[0].split(b"\n", 1)[0][:4096]
    if not header.startswith(b"MSH") or len(header) < 8:
        header = b"MSH|^~\\&|"
    bar, component = header[3:4], header[4:5]
    fields = header.split(bar) + [b""] * 20  # fields[n] is MSH-(n+1)
    trigger = fields[8].split(component)[1:2]
    kind = component.join([b"ACK", *trigger, *([b"ACK"] if trigger else [])])
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S+0000").encode()
    identifier = secrets.token_hex(8).encode()
    msh = [b"MSH", fields[1], *fields[4:6], *fields[2:4], now, b"", kind, identifier, fields[10] or b"P"]
    msh += [fields[11] or b"2.5", b"", b"", b"", b"", b"", fields[17]]
    msa = [b"MSA", code, fields[9], _REASONS[code]]
    return b"\r".join(bar.join(segment).rstrip(bar) for segment in (msh, msa)) + b"\r"
