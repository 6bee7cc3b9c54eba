"""What is seen of a source, drawn for a terminal: hostile text is made visible, and each field's change stands out."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ingest.tap import DROPPED, TOKEN, Change, Outcome, Seen
from wardwatch.text import safe_text

MOST_RAW = 4000  # characters of a raw record
MOST_VALUE = 300
_OUTCOMES = {"forwarded": "green", "filtered": "dim", "dead_lettered": "bold red"}
_HOW = {"pt": "patient's token", "st": "staff token", "en": "visit's token", "sd": "study's token"}


def drawn(seen: Seen) -> RenderableType:
    """Return one record as it is shown."""
    return Group(*_parts(seen))


def _parts(seen: Seen) -> Iterator[RenderableType]:
    if seen.missed:
        yield Text(f"… {seen.missed} records not shown: they came faster than this view reads", style="yellow")
    where = " ".join(_line(each) for each in (seen.source, seen.received, seen.peer, seen.position) if each)
    yield Text(f"── {where} ", style="bold")
    if seen.raw is not None:
        yield from _raw(seen.raw, seen.charset)
    for outcome in seen.outcomes:
        yield Text(outcome.kind.replace("_", "-"), style=_OUTCOMES[outcome.kind])
        if outcome.kind == "dead_lettered":
            yield Text(_line(f"  {outcome.step}: {outcome.reason}"), style="red")
        elif outcome.event is not None:
            yield _fields(outcome, with_raw=seen.raw is not None)


def _raw(raw: bytes, charset: str) -> Iterator[Text]:
    """Return the record's lines behind a bar, so that none can pass for one of ours."""
    text = raw.decode(charset, "backslashreplace").replace("\r\n", "\n").replace("\r", "\n")
    for line in safe_text(text, limit=MOST_RAW).rstrip("\n").split("\n"):
        yield Text(f"▏ {line}", style="dim")


def _fields(outcome: Outcome, *, with_raw: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("  field")
    if with_raw:
        table.add_column("as received", style="red")
    table.add_column("as sent")
    table.add_column("")
    changed = {change.field: change for change in outcome.changes}
    event = outcome.event or {}
    for field in sorted(changed.keys() | event.keys(), key=lambda name: (name not in changed, name)):
        before = [_before(changed.get(field))] if with_raw else []
        table.add_row(_name(field, changed), *before, _value(event.get(field), field in changed), _how(changed, field))
    return table


def _name(field: str, changed: dict[str, Change]) -> Text:
    return Text(f"{'≠' if field in changed else ' '} {_line(field)}", style="bold" if field in changed else "dim")


def _before(change: Change | None) -> Text:
    return Text("" if change is None else _line(change.before))


def _value(value: object, changed: bool) -> Text:
    if value is None:
        return Text("–", style="dim")
    text = Text(_line(value), style="green" if changed else "dim")
    text.highlight_regex(TOKEN, "bold cyan")
    return text


def _how(changed: dict[str, Change], field: str) -> Text:
    if field not in changed:
        return Text("")
    how = changed[field].how
    words = [_HOW.get(kind, kind if kind == DROPPED else f"reduced ({kind})") for kind in how.split()]
    return Text(", ".join(words), style="magenta")


def _line(value: object) -> str:
    """Return a value on one line, with nothing in it that a terminal obeys."""
    shown = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return safe_text(shown, limit=MOST_VALUE).replace("\n", "\\n").replace("\t", "\\t")
