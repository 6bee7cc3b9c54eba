"""What a collector remembers of remote configurations, durable in its folder."""

from __future__ import annotations

from pathlib import Path

import msgspec

from ingest.remote.signed import Row
from ingest.spool import write_durably
from wardwatch.errors import SettingsError


class Trial(msgspec.Struct, frozen=True):
    """A configuration on trial: which sources parsed well before it, which parts failed, how often it was started."""

    well: frozenset[str]
    failing: frozenset[str]
    starts: int = 0


class Refused(msgspec.Struct, frozen=True):
    """A configuration that is not in force, and why."""

    version: int | None
    reason: str


class State(msgspec.Struct, frozen=True):
    """``tried`` is the newest version that was ever begun; ``applied`` is in force, None: the local sources.

    ``previous`` was in force before it, and is again when the trial fails.
    """

    tried: int = 0
    applied: Row | None = None
    previous: Row | None = None
    trial: Trial | None = None
    refused: Refused | None = None


def load(folder: Path) -> State:
    """Return what a collector's folder remembers; raises SettingsError."""
    path = _path(folder)
    try:
        return msgspec.json.decode(path.read_bytes(), type=State)
    except FileNotFoundError:
        return State()
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        remedy = "move it away to begin with the local sources"
        raise SettingsError(f"{path} can't be read: {error}", step="configuration", remedy=remedy) from None


def save(folder: Path, state: State) -> None:
    """Write it durably; raises SettingsError."""
    try:
        write_durably(_path(folder), msgspec.json.encode(state))
    except OSError as error:
        raise SettingsError(f"{_path(folder)} can't be written: {error.strerror}", step="configuration") from None


def _path(folder: Path) -> Path:
    return folder / "configuration.json"
