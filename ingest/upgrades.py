"""Versions of a collector's state folder: the folder says who wrote it, and a program refuses what is newer than it.

``FORMAT`` counts the changes of what is on disk (spool, positions, quarantine, vault) that an earlier program can't
read. A program reads every format up to its own; docs/operator/upgrade.md shows NOTES.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

import wardwatch
from ingest.spool import write_durably
from wardwatch.errors import SettingsError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Note:
    """What a version changes for who runs a collector, and the format of the state that it writes."""

    version: str
    format: int
    text: str


NOTES = (
    Note(
        "0.1.0",
        1,
        "The first version. Spool of MessagePack entries with CRC-32C, positions and cursors of sources as JSON, "
        "quarantine and vault in SQLite. The unit no longer sets WARDWATCH_DATA_DIR: write data_dir in collector.toml.",
    ),
)
"""Oldest first."""


class State(msgspec.Struct, frozen=True):
    """Who wrote a folder last."""

    version: str
    format: int


def read_state(folder: Path) -> State | None:
    """Return what a folder says of itself, None for one that says nothing; raises SettingsError."""
    path = _path(folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.MsgspecError) as error:
        remedy = "restore the folder from its back-up"
        raise SettingsError(f"{path} can't be read: {error}", step="collector", remedy=remedy) from None


def readable_state(folder: Path) -> State | None:
    """Return what a folder says of itself; raises SettingsError where a newer format is in it."""
    state = read_state(folder)
    if state is not None and state.format > FORMAT:
        raise SettingsError(
            f"{folder} was written by wardwatch {state.version} in state format {state.format}; "
            f"this is {wardwatch.__version__}, which reads formats up to {FORMAT}",
            step="collector",
            remedy=f"install {state.version} again, or restore the back-up from before the upgrade",
        )
    return state


def claim(folder: Path) -> None:
    """Note in a folder that this program writes it from now on; raises SettingsError like ``readable_state``."""
    own = State(wardwatch.__version__, FORMAT)
    if readable_state(folder) != own:
        write_durably(_path(folder), msgspec.json.encode(own))


def between(version: str, notes: Sequence[Note] = NOTES) -> list[Note]:
    """Return the notes of the versions after this one, oldest first."""
    return [note for note in notes if _order(note.version) > _order(version)]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _path(folder: Path) -> Path:
    return folder / "state.json"
