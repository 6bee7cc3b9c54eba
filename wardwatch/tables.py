"""Tables: rules, assets, people … as rows on one compacted topic, with a copy in the memory of every process.

A row is ``(table, tenant, key) → JSON object``; its key on the topic is ``table/tenant/key`` and a tombstone deletes
it. Rows of tenant "" hold for every tenant unless the tenant has one of the same key.
"""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

import structlog

from wardwatch.bus import Bus, Consumer, Partition, Producer, Record
from wardwatch.errors import BusUnavailable, DecodeError, RecordError, SettingsError, Unavailable
from wardwatch.event import Document, decode, encode
from wardwatch.topics import TABLES, TENANT, check_tenant

log = structlog.get_logger()

Rows = Mapping[str, Document]
RowId = tuple[str, str, str]
"""Table, tenant ("" for all) and key."""
_TABLE = re.compile(r"[a-z][a-z0-9_]{0,39}")
_POLL_S = 0.5
_RETRY_S = 1.0


class Tables:
    """All tables on one bus. Any thread may read and write."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._producer: Producer | None = None
        self._writing = threading.Lock()
        self._changed = threading.Condition()
        self._rows: dict[tuple[str, str], dict[str, Document]] = {}
        self._merged: dict[tuple[str, str], tuple[int, Rows]] = {}
        self._versions: dict[str, int] = {}
        self._read: dict[Partition, int] = {}
        self._bad_rows = 0
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def bad_rows(self) -> int:
        """How many rows could not be read and were skipped."""
        return self._bad_rows

    def put(self, table: str, tenant: str, key: str, value: Document) -> None:
        """Write one row; on return it is durable. Raises SettingsError, DecodeError, BusUnavailable."""
        self.put_rows(table, tenant, {key: value})

    def put_rows(self, table: str, tenant: str, rows: Rows) -> None:
        """Write rows by key in one flush; raises as ``put``."""
        self._write({_topic_key(table, tenant, key): encode(value) for key, value in rows.items()})

    def delete(self, table: str, tenant: str, key: str) -> None:
        """Delete one row; one that does not exist is no error. Raises SettingsError, BusUnavailable."""
        self._write({_topic_key(table, tenant, key): None})

    def get(self, table: str, tenant: str, key: str) -> Document | None:
        """Return the row that holds for the tenant."""
        return self.rows(table, tenant).get(key)

    def rows(self, table: str, tenant: str) -> Rows:
        """Return by key the rows that hold for the tenant, as read so far; not to be changed."""
        with self._changed:
            version = self._versions.get(table, 0)
            cached = self._merged.get((table, tenant))
            if cached is None or cached[0] != version:
                merged = self._rows.get((table, ""), {}) | self._rows.get((table, tenant), {})
                cached = self._merged[table, tenant] = (version, merged)
            return cached[1]

    def version(self, table: str) -> int:
        """Return a number that changes with each change of the table."""
        return self._versions.get(table, 0)  # asked for every event: one look needs no lock

    def snapshot(self, tables: Iterable[str]) -> tuple[int, dict[RowId, Document]]:
        """Return the rows of some tables, of every tenant, and the position on the topic at which they were so."""
        wanted = frozenset(tables)
        with self._changed:
            rows = {
                (table, tenant, key): value
                for (table, tenant), values in self._rows.items()
                if table in wanted
                for key, value in values.items()
            }
            return self._position(), rows

    def wait(self, position: int, timeout_s: float) -> bool:
        """Return as soon as the topic is read past the position, or False after the time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._position() > position, timeout_s)

    def _position(self) -> int:
        return self._read.get((TABLES.name, 0), 0)

    def follow(self) -> None:
        """Start to read the topic in a thread, until ``close``; does nothing the second time."""
        with self._changed:
            if self._thread is None:
                self._thread = threading.Thread(target=self._follow, name="tables", daemon=True)
                self._thread.start()

    def catch_up(self, timeout_s: float = 30.0) -> None:
        """Follow, and return when all that was written before this call is read; raises BusUnavailable."""
        self.follow()
        ends = {(TABLES.name, number): end for number, end in self._bus.end_offsets(TABLES.name).items()}
        with self._changed:
            if not self._changed.wait_for(
                lambda: all(self._read.get(partition, 0) >= end for partition, end in ends.items()), timeout_s
            ):
                raise BusUnavailable(f"the tables were not read in {timeout_s:.0f} s", step="tables")

    def close(self) -> None:
        """Stop following and release the connections."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
        if self._producer is not None:
            self._producer.close()

    def _write(self, records: Mapping[str, bytes | None]) -> None:
        with self._writing:
            if self._producer is None:
                self._producer = self._bus.producer()
            for key, value in records.items():
                self._producer.send(TABLES.name, value, key=key)
            self._producer.flush()

    def _follow(self) -> None:
        with self._bus.reader([TABLES.name]) as reader:
            while not self._closing.is_set():
                self._poll(reader)

    def _poll(self, reader: Consumer) -> None:
        try:
            records = reader.poll(timeout_s=_POLL_S)
        except Unavailable as error:
            log.warning("tables_not_read", reason=str(error))
            self._closing.wait(_RETRY_S)
            return
        with self._changed:
            for record in records:
                self._apply(record)
                self._read[record.topic, record.partition] = record.offset + 1
            self._changed.notify_all()

    def _apply(self, record: Record) -> None:
        try:
            table, tenant, key = _parse_key(record.key)
            value = None if record.value is None else decode(record.value)
        except RecordError as error:
            self._bad_rows += 1
            log.warning("bad_row", position=record.position, reason=error.reason)
            return
        rows = self._rows.setdefault((table, tenant), {})
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value
        self._versions[table] = self._versions.get(table, 0) + 1


def read_csv(path: Path) -> dict[str, Document]:
    """Return by key the rows of a CSV file (RFC 4180, UTF-8, a header with the key column ``id``).

    Empty cells are left out; ``true`` and ``false`` become booleans, all else stays text. Raises SettingsError naming
    the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _parse_csv(csv.DictReader(file, strict=True), path)
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}", step="tables") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingsError(f"{path} is no UTF-8 CSV: {error}", step="tables") from None


def _parse_csv(lines: csv.DictReader[str], path: Path) -> dict[str, Document]:
    if "id" not in (lines.fieldnames or ()):
        raise SettingsError(f"{path} has no column id", step="tables", remedy="name the key column id")
    rows: dict[str, Document] = {}
    for line in lines:
        where = f"{path} line {lines.line_num}"
        if None in line or None in line.values():
            raise SettingsError(f"{where}: not as many cells as the header", step="tables")
        key = line["id"]
        if not key or key in rows:
            raise SettingsError(f"{where}: id {key!r} is empty or used twice", step="tables")
        rows[key] = {name: _cell(text) for name, text in line.items() if text}
    return rows


def _cell(text: str) -> str | bool:
    return {"true": True, "false": False}.get(text.lower(), text)


def _topic_key(table: str, tenant: str, key: str) -> str:
    if not _TABLE.fullmatch(table):
        raise SettingsError(f"{table[:60]!r} is no name of a table", step="tables", remedy="a to z, 0 to 9 and _")
    if not key:
        raise SettingsError("a row needs a key", step="tables")
    return f"{table}/{tenant and check_tenant(tenant)}/{key}"


def _parse_key(key: str | None) -> tuple[str, str, str]:
    table, _, within = (key or "").partition("/")
    tenant, _, rest = within.partition("/")
    if not _TABLE.fullmatch(table) or not rest or (tenant and not TENANT.fullmatch(tenant)):
        raise DecodeError(f"{(key or '')[:80]!r} is no key of a row", step="tables")
    return table, tenant, rest
