"""Rows of a database's table or view, such as an audit trail, in the order of one or two of its columns.

A row may become visible after rows that follow it: a transaction takes its number or its time before it commits. So the
cursor is a place before which nothing appears any more, ``lag_s`` seconds behind the last row read, and every look
reads again from there; rows that were handed on are known by their hash. After a restart the rows behind the cursor are
handed on again, with the event ids they had. A row that appears later than ``lag_s`` may be missed.
"""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

from ingest.intake import Source
from ingest.parsers import Parser, Record
from ingest.pollers import Batch
from ingest.pollers.sql.databases import Address, Database, Place, database_of, place_of
from ingest.pollers.sql.rows import Row, Values, named, read_cursor, record, write_cursor
from ingest.pollers.sql.statement import page_of
from wardwatch.errors import SettingsError, Unavailable, WardwatchError
from wardwatch.settings import SourceSettings

PAGE_ROWS = 1000
PAGE_BYTES = 8 * 2**20
LARGEST_PAGE = 16
"""How many times PAGE_ROWS and PAGE_BYTES a page may become when all its rows share one cursor."""
MOST_KNOWN = 200_000
"""Rows behind the cursor at which nothing new is read until the cursor follows; memory is about 150 bytes for each."""

_NAME = re.compile(r"[^\W\d][\w$#]{0,127}")


class SqlFeed:
    """Asks one database one query; raises SettingsError."""

    def __init__(self, source: Source, page_rows: int = PAGE_ROWS, most_known: int = MOST_KNOWN) -> None:
        settings = source.settings
        place = place_of(settings)
        self._database: Database = database_of(place.scheme)
        self._query, self._columns = asked(settings, source.parser, place.scheme)
        self._address = Address(
            place.host,
            place.port or self._database.port,
            place.database,
            settings.user,
            settings.secret(),
            settings.authorities,
        )
        self._place: Place = place
        self._charset = source.site.charset
        self._lag_s = settings.lag_s
        self._page_rows = page_rows
        self._most_known = most_known
        self._connection: Any = None
        self._known: set[bytes] = set()
        self._reached: deque[tuple[float, str]] = deque()  # when a look ended, and the cursor of its last row

    def batches(self, cursor: str) -> Iterator[Batch]:
        """Read again from the cursor, which may then follow to what was reached ``lag_s`` ago; then read on."""
        began = time.monotonic()
        if len(self._known) >= self._most_known and self._reached and self._reached[0][0] > began - self._lag_s:
            return  # the cursor can't follow yet
        reached = self._reached[-1][1] if self._reached else cursor
        final = [last for at, last in self._reached if at <= began - self._lag_s]
        if final:
            yield from self._read(cursor, final[-1], set(), cursor)
            cursor = final[-1]
            for _ in final:
                self._reached.popleft()
            yield Batch([], cursor)
        if reached:
            met: set[bytes] = set()
            yield from self._read(cursor, reached, met, cursor)
            self._known = met
        yield from self._go_on(reached, cursor)

    def close(self) -> None:
        """Disconnect."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):  # it may be broken, of which each driver has its own errors
                connection.close()

    def state(self) -> dict[str, int]:
        """Return how many rows behind the cursor are known."""
        return {"known": len(self._known)}

    def sample(self) -> list[Record]:
        """Return the first row, if there is any; raises Unavailable telling what is wrong."""
        return [self._record(row) for row in self._page((), (), 1, 1)[0]]

    def _go_on(self, reached: str, cursor: str) -> Iterator[Batch]:
        last = reached
        for page in self._pages(reached, ""):
            yield from self._fresh(page, self._known, cursor)
            last = write_cursor(self._columns, page[-1].key)
            if len(self._known) >= self._most_known:
                break
        if last != reached:
            self._reached.append((time.monotonic(), last))

    def _read(self, since: str, until: str, met: set[bytes], cursor: str) -> Iterator[Batch]:
        for page in self._pages(since, until):
            yield from self._fresh(page, met, cursor)

    def _fresh(self, page: list[Row], met: set[bytes], cursor: str) -> Iterator[Batch]:
        """Yield the rows that are not known; when that returns they are in the spool, and known."""
        digests = [row.digest for row in page]
        fresh = [
            row for row, digest in zip(page, digests, strict=True) if digest not in self._known and digest not in met
        ]
        yield Batch([self._record(row) for row in fresh], cursor)
        self._known.update(digests)
        met.update(digests)

    def _pages(self, since: str, until: str) -> Iterator[list[Row]]:
        """Yield the rows between two cursors, those of both too; "" is no limit."""
        low, high = (read_cursor(self._columns, cursor) if cursor else () for cursor in (since, until))
        times = 1
        while True:
            page, more = self._page(low, high, self._page_rows * times, PAGE_BYTES * times)
            if page:
                yield page
            if not more:
                return
            if page[-1].key != low:
                low, times = page[-1].key, 1
            elif times < LARGEST_PAGE:
                times *= 2
            else:
                shared = f"more than {len(page)} rows share {', '.join(self._columns)}"
                raise Unavailable(f"{shared}: name a second column in cursor that tells them apart")

    def _page(self, low: Values, high: Values, most_rows: int, most_bytes: int) -> tuple[list[Row], bool]:
        """Return the next rows, and whether there may be more; raises Unavailable."""
        try:
            if self._connection is None:
                self._connection = self._database.connect(self._address)
            statement = page_of(self._database, self._query, self._columns, low, high, most_rows)
            with closing(self._database.rows(self._connection, *statement)) as found:
                return self._rows(found, most_rows, most_bytes)
        except WardwatchError:
            self.close()
            raise
        except Exception as error:  # each driver has its own; its module knows what may be told of them
            self.close()
            raise Unavailable(self._database.reason(error), step="sql", record=self._place.shown) from None

    def _rows(self, found: Iterator[Any], most_rows: int, most_bytes: int) -> tuple[list[Row], bool]:
        names = next(found, None)
        if names is None:
            return [], False
        places = {name.casefold(): index for index, name in enumerate(names)}
        indexes = [places[column.casefold()] for column in self._columns]
        rows: list[Row] = []
        size = 0
        for values in found:
            row = Row(tuple(values[index] for index in indexes), record(names, values, self._charset))
            rows.append(row)
            size += len(row.data)
            if size >= most_bytes:
                return rows, True
        return rows, len(rows) == most_rows

    def _record(self, row: Row) -> Record:
        return Record(row.data, position=f"{self._place.shown}#{named(self._columns, row.key)}")


def asked(settings: SourceSettings, parser: Parser, scheme: str) -> tuple[str, tuple[str, ...]]:
    """Return query and cursor of the settings, else the parser's own for such a database; raises SettingsError."""
    own = parser.query if parser.query and scheme in parser.query.databases else None
    query = settings.query.strip().rstrip(";") or (own.select if own else "")
    columns = settings.cursor or (own.cursor if own else ())
    if not query or not columns:
        reason = f"{parser.name} has no query of its own for {scheme}://"
        remedy = 'set query = "SELECT … FROM …" and cursor = ["time", "id"]'
        raise SettingsError(reason, step="collector", record=parser.name, remedy=remedy)
    wrong = next((column for column in columns if not _NAME.fullmatch(column)), None)
    if wrong is not None:
        remedy = "give it a plain name in the query: SELECT … AS name"
        raise SettingsError(f"cursor {wrong!r} is no column", step="collector", record=parser.name, remedy=remedy)
    return query, columns
