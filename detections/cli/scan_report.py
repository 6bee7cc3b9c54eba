"""What a scan tells the person who runs it, all on standard error: choices, problems, progress, summary."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from detections.cli.loaded import safe
from detections.scanning import Scan
from wardwatch.alert import Severity
from wardwatch.text import safe_text

_COLOURS = dict(zip(Severity, ("dim", "cyan", "yellow", "red", "bold red"), strict=True))


@dataclass
class ScanReport:
    """Says what was chosen and what could not be read; counts the files."""

    console: Console = field(default_factory=lambda: Console(stderr=True, highlight=False))
    files: int = 0
    unread: int = 0
    _said: set[str] = field(default_factory=set)
    _before: int = 0
    _began_s: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print one line of text that may come from a log."""
        self.console.print(safe_text(text, limit=1000), markup=False, soft_wrap=True)

    def chosen(self, name: str, source: str, why: str) -> None:
        """Say, once a source, what a file is read as and how to choose otherwise."""
        self.files += 1
        if why and source not in self._said:
            self._said.add(source)
            self.say(f"{name}: read as {source} ({why}); --source NAME chooses otherwise")

    def empty(self, name: str) -> None:
        """Say that a file has nothing to read, which is no error."""
        self.files += 1
        self.say(f"{name}: it is empty")

    def not_recognised(self, name: str, why: str, sources: Sequence[str], *, named: bool) -> None:
        """Say that nothing tells a file's source; in a folder that is no error."""
        if named:
            self.not_read(name, f"{why}; --source NAME reads it as one of {', '.join(sources)}")
        else:
            self.say(f"{name}: skipped: {why}")

    def not_read(self, name: str, reason: str) -> None:
        """Name a file that was asked for and can't be read, or not to its end."""
        self.unread += 1
        self.say(f"{name}: {reason}")

    @contextmanager
    def progress(self, total_bytes: int | None, *, quiet: bool) -> Iterator[None]:
        """Show a bar on a terminal, which ``read_to`` and ``read_whole`` move."""
        columns = (TextColumn("scanning"), BarColumn(), TaskProgressColumn(), DownloadColumn(), TimeRemainingColumn())
        shown = self.console.is_terminal and not quiet
        with Progress(
            *columns, console=self.console, disable=not shown, transient=True, redirect_stdout=False
        ) as self._bar:
            self._task = self._bar.add_task("", total=total_bytes)
            yield

    def read_to(self, position: int) -> None:
        """Move the bar to a position in the file at hand."""
        self._bar.update(self._task, completed=self._before + position)

    def read_whole(self, size_bytes: int) -> None:
        """Move the bar behind a file."""
        self._before += size_bytes
        self.read_to(0)

    def summary(self, scan: Scan) -> None:
        """Print the table of matches by level and rule, on a terminal only, and the totals."""
        if not self.console.is_terminal:
            return
        table = Table("level", "rule", "matches", box=None)
        for (level, title), count in sorted(scan.matches.items(), key=_weight):
            table.add_row(f"[{_COLOURS[level]}]{level.value}[/]", safe(title), f"{count:,}")
        self.console.print(table)
        self.console.print(self._totals(scan), markup=False)

    def _totals(self, scan: Scan) -> str:
        took_s = time.monotonic() - self._began_s
        return (
            f"{scan.matches.total():,} matches of {len(scan.matches):,} rules ({len(scan.rules.loaded):,} loaded, "
            f"{len(scan.rules.rejected):,} rejected); {self.files:,} files, {scan.records:,} records, "
            f"{scan.refused:,} unreadable; {took_s:.1f} s, {scan.events / took_s:,.0f} events/s"
        )


def _weight(counted: tuple[tuple[Severity, str], int]) -> tuple[int, int, str]:
    (level, title), count = counted
    return -list(Severity).index(level), -count, title
