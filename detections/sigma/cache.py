"""Compiled rules kept between starts: data alone, in a private folder, and never believed without its checksum."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import structlog

from detections.sigma.loading import Rejected
from detections.sigma.rule import Presentation, Rule, RuleText

log = structlog.get_logger()

_DIGEST = 32
_LIBRARIES = ("pysigma", "pyyaml", "google-re2", "wardwatch")


class Unit(msgspec.Struct, frozen=True):
    """What became of one text, which held rules only; ``context`` is what else its rules were compiled with."""

    context: str
    rules: tuple[Rule, ...]
    rejected: tuple[Rejected, ...]


class RuleCache:
    """Units by text. ``folder`` keeps them between starts, None only for the next rulesets of this process."""

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / "rules.msgpack" if folder else None
        self._known: dict[str, Unit] = self._read() if folder else {}
        self._used: dict[str, Unit] = {}

    def get(self, text: RuleText) -> Unit | None:
        """Return the unit of a text if it is known."""
        key = _key(text)
        found = self._known.get(key)
        if found is not None:
            self._used[key] = found
        return found

    def put(self, text: RuleText, unit: Unit) -> None:
        """Keep the unit of a text."""
        self._used[_key(text)] = unit

    def settle(self) -> None:
        """Forget what was not asked for since the last time, and write the rest if it is new."""
        changed = self._used.keys() != self._known.keys() or any(
            unit is not self._known[key] for key, unit in self._used.items()
        )
        self._known, self._used = self._used, {}
        if changed and self._file:
            try:
                self._write(self._file)
            except OSError as error:
                log.warning("rule_cache_not_written", file=str(self._file), reason=error.strerror)

    def _write(self, file: Path) -> None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        data = msgspec.msgpack.encode((_made_by(), self._known), enc_hook=_plain)
        new = file.with_suffix(f".{os.getpid()}")
        with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:  # noqa: PTH123 private at once
            out.write(blake2b(data, digest_size=_DIGEST).digest() + data)
        new.replace(file)

    def _read(self) -> dict[str, Unit]:
        try:
            data = _private(self._file) if self._file else b""
            made_by, known = _DECODER.decode(data)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("rule_cache_not_read", file=str(self._file), reason=str(error)[:200])
            return {}
        return known if made_by == _made_by() else {}


def _private(file: Path) -> bytes:
    """Return what the file holds if nobody else can have written it and it is whole; raises ValueError, OSError."""
    for path in (file.parent, file):
        about = path.lstat()
        if about.st_uid != os.getuid() or stat.S_ISLNK(about.st_mode) or about.st_mode & 0o077:
            raise ValueError(f"{path} is not private")
    data = file.read_bytes()
    if blake2b(data[_DIGEST:], digest_size=_DIGEST).digest() != data[:_DIGEST]:
        raise ValueError("damaged")
    return data[_DIGEST:]


def _key(text: RuleText) -> str:
    return digest((str(text.file), text.tenant, text.text))


def digest(parts: Sequence[str]) -> str:
    """Return 32 hexadecimal digits that stand for these texts."""
    found = blake2b(digest_size=16)
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()


def _made_by() -> str:
    """Return what the compiled form depends on: the libraries, and this package as it is."""
    sources = [path.read_text("utf-8") for path in sorted(Path(__file__).parent.glob("*.py"))]
    return digest([*(f"{name} {version(name)}" for name in _LIBRARIES), *sources])


def _plain(value: object) -> object:
    return value.model_dump(mode="json", exclude_defaults=True) if isinstance(value, Presentation) else str(value)


def _typed(kind: type[Any], value: Any) -> Any:
    if kind is Presentation:
        window = value.pop("window", None)
        return Presentation.model_validate(value | ({"window": f"{window}s"} if window else {}))
    return kind(value)


_DECODER = msgspec.msgpack.Decoder(tuple[str, dict[str, Unit]], dec_hook=_typed)
