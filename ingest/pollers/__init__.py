"""Pollers, one module per transport: they ask a system for its records and resume where they stopped.

A poller is a listener that goes and fetches. Its ``Feed`` speaks the transport and knows nothing of durability; the
cursor, an opaque text of the feed, is written only after the records before it are in the spool. A record's position
names it again, so that one read twice after a crash has the id it had.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import structlog

from ingest.intake import Intake, Source
from ingest.listeners import STOP_S, accept_patiently
from ingest.parsers import Record
from ingest.spool import write_durably
from wardwatch.errors import SettingsError, Unavailable

log = structlog.get_logger()

FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 60.0


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in the order of their source, and the cursor to go on from once they are in the spool.

    A cursor that stays behind the last record is no fault: what is read twice has the id it had.
    """

    records: Sequence[Record]
    cursor: str


class Feed(Protocol):
    """The system that is asked."""

    def batches(self, cursor: str) -> Iterator[Batch]:
        """Yield what came after the cursor ("" is the beginning), at most a few thousand records at a time, then end.

        Raises Unavailable while the system is gone or refuses; it is asked again later. What was accepted of a batch
        before it is known, so a generator may acknowledge a batch where it continues. A feed that can wait for records
        may go on for ever, with an empty batch every second or so, after which it may be stopped.
        """

    def close(self) -> None:
        """Let go of connections. Every wait of a feed has a limit of a few seconds, so that it can be stopped."""

    def state(self) -> dict[str, int]:
        """Return its own counters for /health."""


class Poller:
    """Asks a feed every ``every_s`` seconds, and less often while it is gone; ``folder`` holds the cursor."""

    def __init__(self, source: Source, intake: Intake, folder: Path, feed: Feed, place: str, every_s: float) -> None:
        self._source = source
        self._intake = intake
        self._feed = feed
        self._every_s = every_s
        self._closing = threading.Event()
        self._failed = 0
        digest = blake2b(place.encode(), digest_size=6).hexdigest()
        self._cursor_path = folder / f"cursor-{source.name}-{digest}"
        self._cursor = self._load()
        self.address = place
        self.name = f"poller {source.settings.transport} {place}"
        self.problem = ""

    def start(self) -> None:
        """Begin to ask."""
        self._thread = threading.Thread(target=self._serve, name=self.name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the batch at hand."""
        self._closing.set()
        self._thread.join(STOP_S + 1)

    def state(self) -> dict[str, int]:
        """Return how often the system could not be asked, and the counters of the feed."""
        return {"failed": self._failed, **self._feed.state()}

    def _serve(self) -> None:
        wait_s = FIRST_WAIT_S
        while not self._closing.is_set():
            if self._asked():
                wait_s = FIRST_WAIT_S
                self._closing.wait(self._every_s)
            else:
                self._closing.wait(wait_s)
                wait_s = min(wait_s * 2, LONGEST_WAIT_S)
        with suppress(Exception):  # as below; the process ends, or the settings change
            self._feed.close()

    def _asked(self) -> bool:
        try:
            self._ask()
        except Unavailable as error:
            self._fail(error.reason)
        except Exception as error:
            # a driver's own mistake must not end the source; its text may quote the record
            self._fail(f"{type(error).__name__} in the feed")
        else:
            self.problem = ""
            return True
        return False

    def _ask(self) -> None:
        for batch in self._feed.batches(self._cursor):
            if batch.records and accept_patiently(self._intake, self._source, batch.records, self._closing) is None:
                return
            if batch.cursor != self._cursor:
                self._store(batch.cursor)
            self.problem = ""
            if self._closing.is_set():
                return

    def _store(self, cursor: str) -> None:
        try:
            write_durably(self._cursor_path, cursor.encode())
        except OSError as error:
            raise Unavailable(f"{self._cursor_path} can't be written: {error.strerror}") from None
        self._cursor = cursor

    def _fail(self, reason: str) -> None:
        self._failed += 1
        if reason != self.problem:
            log.warning("poll_failed", poller=self.name, reason=reason)
        self.problem = reason

    def _load(self) -> str:
        try:
            return self._cursor_path.read_text("utf-8")
        except FileNotFoundError:
            return ""
        except (OSError, UnicodeDecodeError) as error:
            remedy = "move it away to ask for everything again"
            reason = f"{self._cursor_path} can't be read: {error}"
            raise SettingsError(reason, step="collector", record=self._source.name, remedy=remedy) from None
