"""Tables: the control plane on one compacted topic, and an in-memory copy that follows it.

A row is ``(table, tenant, key) → value``; tenant "" is for all. The record's key is ``table/tenant/key``, its value a
JSON object, and a tombstone deletes the row.
"""

from __future__ import annotations

import csv
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import structlog

from wardwatch.bus import Bus, Consumer, Record
from wardwatch.errors import DecodeError, SettingsError, Unavailable
from wardwatch.event import decode, encode
from wardwatch.topics import TABLES

log = structlog.get_logger()

Row = dict[str, Any]
_RETRY_S = 1.0


class Tables:
    """Reads and writes rows; one writer per row is assumed, the last write wins."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._rows: dict[tuple[str, str], dict[str, Row]] = defaultdict(dict)
        self._versions: dict[str, int] = defaultdict(int)
        self._next: dict[int, int] = defaultdict(int)
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._follower: threading.Thread | None = None
        self.bad_rows = 0

    def put(self, table: str, tenant: str, key: str, value: Row) -> None:
        """Write one row; it is durable on return. Raises BusUnavailable and DecodeError."""
        self.put_all(table, tenant, {key: value})

    def put_all(self, table: str, tenant: str, rows: dict[str, Row]) -> None:
        """Write rows in one go; they are durable on return. Raises BusUnavailable and DecodeError."""
        self._send({_topic_key(table, tenant, key): encode(value) for key, value in rows.items()})

    def delete(self, table: str, tenant: str, key: str) -> None:
        """Delete one row; deleting one that does not exist is no error. Raises BusUnavailable."""
        self._send({_topic_key(table, tenant, key): None})

    def get(self, table: str, tenant: str, key: str) -> Row | None:
        """Return the tenant's row, else the row for all, else None."""
        with self._lock:
            return self._rows[table, tenant].get(key) or self._rows[table, ""].get(key)

    def rows(self, table: str, tenant: str = "") -> dict[str, Row]:
        """Return the rows for all and, over them, the tenant's, by key."""
        with self._lock:
            return {**self._rows[table, ""], **self._rows[table, tenant]}

    def version(self, table: str) -> int:
        """Return a number that grows with every change of the table: lookups rebuild their index when it does."""
        with self._lock:
            return self._versions[table]

    def catch_up(self) -> None:
        """Return when everything written before the call has been read. Raises BusUnavailable."""
        self._bus.ensure_topics([TABLES])
        ends = self._bus.end_offsets(TABLES.name)
        if self._follower is None:
            with self._bus.reader([TABLES.name]) as reader:
                while self._behind(ends):
                    self._take(reader.poll(max_records=5000, timeout_s=0.5))
        else:
            while self._behind(ends) and not self._stopping.wait(0.02):
                pass

    def follow(self) -> None:
        """Keep the copy up to date in a thread, from now until ``close``."""
        self._follower = threading.Thread(target=self._follow, name="tables", daemon=True)
        self._follower.start()

    def close(self) -> None:
        """Stop following."""
        self._stopping.set()
        if self._follower is not None:
            self._follower.join(5.0)

    def _send(self, records: dict[str, bytes | None]) -> None:
        self._bus.ensure_topics([TABLES])
        producer = self._bus.producer()
        try:
            for key, value in records.items():
                producer.send(TABLES.name, value, key=key)
            producer.flush()
        finally:
            producer.close()

    def _follow(self) -> None:
        while not self._stopping.is_set():
            try:
                self._bus.ensure_topics([TABLES])
                with self._bus.reader([TABLES.name]) as reader:
                    self._read(reader)
            except Unavailable as error:
                log.warning("tables_wait", reason=str(error))
                self._stopping.wait(_RETRY_S)

    def _read(self, reader: Consumer) -> None:
        while not self._stopping.is_set():
            self._take(reader.poll(max_records=5000, timeout_s=0.5))

    def _take(self, records: list[Record]) -> None:
        with self._lock:
            for record in records:
                self._apply(record)
                self._next[record.partition] = record.offset + 1

    def _apply(self, record: Record) -> None:
        table, _, rest = (record.key or "").partition("/")
        tenant, _, key = rest.partition("/")
        try:
            row = decode(record.value) if record.value is not None else None
        except DecodeError as error:
            self.bad_rows += 1
            log.error("bad_row", position=record.position, reason=error.reason)
            return
        if row is None:
            self._rows[table, tenant].pop(key, None)
        else:
            self._rows[table, tenant][key] = row
        self._versions[table] += 1

    def _behind(self, ends: dict[int, int]) -> bool:
        with self._lock:
            return any(self._next[partition] < end for partition, end in ends.items())


def load_csv(tables: Tables, table: str, tenant: str, path: Path) -> int:
    """Write each line of a CSV file (UTF-8, a header with the column ``id``) as a row; return their number.

    Raises SettingsError naming file and line of a missing, empty or repeated id.
    """
    rows: dict[str, Row] = {}
    with path.open(encoding="utf-8-sig", newline="") as lines:
        for row in (reader := csv.DictReader(lines)):
            key = (row.get("id") or "").strip()
            if not key or key in rows:
                fault = f"id {key!r} stands twice" if key else "no id"
                raise SettingsError(fault, step="tables", record=f"{path}:{reader.line_num}")
            rows[key] = {name: value for name, value in row.items() if name}
    tables.put_all(table, tenant, rows)
    return len(rows)


def _topic_key(table: str, tenant: str, key: str) -> str:
    if not table or "/" in table or "/" in tenant or not key:
        raise SettingsError(
            f"{table}/{tenant}/{key} is no row", step="tables", remedy="table and key, without / in names"
        )
    return f"{table}/{tenant}/{key}"
