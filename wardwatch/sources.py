"""Files of every known source read as events: the door between the stage that parses and those who want events.

Stages never import each other; ``READER`` names the module as the registry of commands names functions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pkgutil import resolve_name
from typing import BinaryIO, Protocol, cast

from wardwatch.event import Event

READER = "ingest.reading"


@dataclass(frozen=True, slots=True)
class ReadRecord:
    """One record of a file: its number from 1, its events (none where it was filtered), or why it can't be read.

    ``offset`` counts bytes from the start of the file; None where the file does not hold the record as it is read.
    """

    number: int
    offset: int | None
    events: Sequence[Event] = ()
    problem: str = ""


class Reader(Protocol):
    """What the module READER offers."""

    SOURCES: Sequence[str]

    def recognise(self, head: bytes) -> tuple[str, str]:
        """Return the source of a file by its first bytes and what told it; ("", why not) where nothing did."""

    def read(self, file: BinaryIO, source: str, *, name: str, zone: tzinfo, charset: str) -> Iterator[ReadRecord]:
        """Yield every record of a file in bounded memory; raises RecordError where the whole can't be read."""


def reader() -> Reader:
    """Return the reader of files."""
    return cast("Reader", resolve_name(READER))
