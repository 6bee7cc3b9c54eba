"""What the commands share that change what is in force: rows checked before they are written, then confirmed."""

from __future__ import annotations

import getpass
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from detections.control import state
from detections.control.live import unlogged
from detections.control.reports import Report, Workers
from detections.control.rows import place
from detections.control.state import State
from wardwatch.bus import Bus, open_bus
from wardwatch.errors import RuleError, SettingsError
from wardwatch.event import Document, rfc3339
from wardwatch.settings import Settings
from wardwatch.settings import load as load_settings
from wardwatch.tables import RowId, Tables
from wardwatch.text import safe_text
from wardwatch.topics import TABLES, WORKERS

CONFIRM_S = 15.0
_SPAN = re.compile(r"([1-9][0-9]{0,3})([hdw])")
_HOURS = {"h": 1, "d": 24, "w": 168}
_LONGEST = timedelta(days=366)

Tenant = Annotated[str, typer.Option(help="Slug of the hospital; without it, every hospital.")]
Reason = Annotated[str, typer.Option(help="Why; people read it later.", show_default=False)]
By = Annotated[str, typer.Option(help="Who does this.", default_factory=getpass.getuser)]
Expires = Annotated[str, typer.Option(help="When it ends: a span such as 12h, 7d or 2w, or an RFC 3339 time.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Return when every worker has it in force.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only check; write nothing.")]


@dataclass(frozen=True, slots=True)
class Controls:
    """The tables of a running system and the state that their rows and this machine's rule files make."""

    bus: Bus
    tables: Tables
    rows: Mapping[RowId, Document]
    state: State

    def change(self, changes: Mapping[RowId, Document | None], *, wait: bool = True, dry_run: bool = False) -> None:
        """Write rows (None deletes one) and say who has them in force.

        Raises RuleError, with nothing written, when a row is bad or would break others; typer.Exit with 1 when a worker
        does not confirm.
        """
        wanted = {**self.rows, **changes}
        after = self.state.change({row: value for row, value in wanted.items() if value is not None})
        for row in changes:
            if reason := after.refused.get(row):
                raise RuleError(reason, step="rules", record=str(place(row)), remedy="nothing was written")
        if dry_run:
            typer.echo(f"good: {_names(changes)} (nothing was written)")
            return
        self._write(changes)
        if wait:
            self._confirm(changes)

    def _write(self, changes: Mapping[RowId, Document | None]) -> None:
        puts: dict[tuple[str, str], dict[str, Document]] = {}
        for (table, tenant, key), value in changes.items():
            if value is None:
                self.tables.delete(table, tenant, key)
            else:
                puts.setdefault((table, tenant), {})[key] = value
        for (table, tenant), rows in puts.items():
            self.tables.put_rows(table, tenant, rows)
        typer.echo(f"written: {_names(changes)}")

    def _confirm(self, changes: Mapping[RowId, Document | None]) -> None:
        position = self.bus.end_offsets(TABLES.name)[0]
        workers = Workers(self.bus)
        deadline_s = time.monotonic() + CONFIRM_S
        while (late := _late(alive := workers.alive(), position)) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        workers.close()
        told = [
            (each, each.refused[str(place(row))])
            for each in alive
            for row in changes
            if str(place(row)) in each.refused
        ]
        for report, reason in told:
            typer.echo(f"refused by {report.worker}: {safe_text(reason, limit=500)}", err=True)
        for report in late:
            typer.echo(f"not confirmed by {report.worker} in {CONFIRM_S:.0f} s", err=True)
        if late or told:
            raise typer.Exit(1)
        names = ", ".join(safe_text(each.worker) for each in alive)
        typer.echo(f"in force: {names}" if names else "no worker is running; in force when one starts")


def _late(alive: list[Report], position: int) -> list[Report]:
    return [each for each in alive if each.position < position]


def _names(changes: Mapping[RowId, Document | None]) -> str:
    names = [safe_text(str(place(row))) for row in changes]
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


@contextmanager
def opened() -> Iterator[Controls]:
    """Open the tables of the system that the settings name; raises BusUnavailable."""
    settings = load_settings()
    bus = open_bus(settings.bus_url, settings.bus_access)
    tables = Tables(bus)
    try:
        bus.ensure_topics([TABLES, WORKERS])
        tables.catch_up()
        _, rows = tables.snapshot(state.tables())
        yield Controls(bus, tables, rows, unlogged(settings.matcher).change(rows))
    finally:
        tables.close()
        bus.close()


def in_force() -> State:
    """Return the state that files and rows make, of files alone where nothing has run yet; raises BusUnavailable."""
    settings = load_settings()
    if _never_ran(settings):
        return unlogged(settings.matcher)
    with opened() as controls:
        return controls.state


def _never_ran(settings: Settings) -> bool:
    return not settings.bus and not (settings.data_dir / "bus.sqlite").exists()


def moment(text: str) -> str:
    """Return the time that a span from now or an RFC 3339 text names; raises SettingsError."""
    now = datetime.now(UTC)
    span = _SPAN.fullmatch(text)
    try:
        end = now + timedelta(hours=int(span[1]) * _HOURS[span[2]]) if span else datetime.fromisoformat(text)
        if not now < end <= now + _LONGEST:
            raise ValueError("past or too far")
    except (ValueError, TypeError):
        remedy = "12h, 7d, 2w or a time with zone, at most 366 days ahead"
        raise SettingsError(f"expires: {text[:40]!r}", step="rules", remedy=remedy) from None
    return rfc3339(end)
