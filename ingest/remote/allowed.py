"""What a provider may say about a collector from afar; everything else is the hospital's own and stays as it is.

Remote text names sources and their time zones. Secrets, trust and what is done to files and databases are taken from
the local source that asks or listens at the same place, so that no password is ever shown to a place of the provider's
choice; files are read only where the hospital's settings allow it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from ingest.intake import source_of
from ingest.parsers import MAPPED
from wardwatch.errors import SettingsError
from wardwatch.settings import CollectorSettings, SourceSettings, explain

SOURCE_KEYS = frozenset(
    (
        *("parser", "transport", "name", "listen", "path", "url", "user", "endpoint", "addressing", "region"),
        *("client", "every_s", "lag_s", "charset", "zone"),
    )
)
"""What a remote source may say."""

KEPT = (
    *("certificate", "key", "authorities", "known_hosts", "token", "password", "password_file"),
    *("community", "users", "query", "cursor", "done"),
)
"""What it keeps of the local source of the same place."""

PLACE = ("transport", "name", "listen", "path", "url", "user", "endpoint", "addressing", "region")
"""What must be alike for that."""


def configured(text: str, local: CollectorSettings) -> CollectorSettings:
    """Return the collector's settings with the sources and the zone of a remote text.

    Raises SettingsError for what is no TOML, not allowed, or wrong.
    """
    values = _read(text)
    found = _validated({**values, "sources": [_with_kept(source, local) for source in values["sources"]]})
    changed = {"sources": found.sources} | ({"zone": found.zone} if "zone" in values else {})
    for source in found.sources:
        _check_files(source, local)
    merged = local.model_copy(update=changed)
    for source in merged.sources:
        source_of(source, merged)
    return merged


def check(text: str) -> None:
    """Raise SettingsError for a text that no hospital takes; paths, and what stays local, only the hospital knows."""
    _validated(_read(text))


def _validated(values: dict[str, Any]) -> CollectorSettings:
    try:
        return CollectorSettings.model_validate(values)
    except ValidationError as error:
        raise _refusal(explain(error)) from None


def _read(text: str) -> dict[str, Any]:
    """Return the collector's table of a remote text; raises SettingsError for what no hospital takes from afar."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise _refusal(f"it is not TOML: {error}") from None
    values = document.get("collector", {})
    if not isinstance(values, dict) or not isinstance(values.get("sources", []), list):
        raise _refusal("collector.sources is no list of tables")
    sources = values.get("sources", [])
    for name in _forbidden(document, values, sources):
        raise SettingsError(f"{name} can't be set from afar", step="configuration", remedy="set it at the hospital")
    if not sources:
        raise _refusal("it has no source")
    for source in sources:
        if "@" in str(source.get("url", "")).partition("://")[2].partition("/")[0]:
            raise _refusal("url holds a user or password")
    return values


def _forbidden(document: dict[str, Any], values: dict[str, Any], sources: list[Any]) -> Iterator[str]:
    yield from sorted(document.keys() - {"collector"})
    yield from (f"collector.{name}" for name in sorted(values.keys() - {"sources", "zone"}))
    for number, source in enumerate(sources):
        if not isinstance(source, dict):
            raise _refusal("collector.sources is no list of tables")
        yield from (f"collector.sources.{number}.{name}" for name in sorted(source.keys() - SOURCE_KEYS))


def _with_kept(source: dict[str, Any], local: CollectorSettings) -> dict[str, Any]:
    for own in local.sources:
        if all(source.get(name, SourceSettings.model_fields[name].default) == getattr(own, name) for name in PLACE):
            return source | {name: getattr(own, name) for name in KEPT if name in own.model_fields_set}
    return source


def _check_files(source: SourceSettings, local: CollectorSettings) -> None:
    if source.transport == "file" and source.path not in {own.path for own in local.sources if own.transport == "file"}:
        _check_below(source.path, local.remote_paths)
    if source.parser.startswith(MAPPED) and source.parser not in {own.parser for own in local.sources}:
        _check_below(source.parser.removeprefix(MAPPED), local.remote_paths)


def _check_below(path: str, folders: tuple[Path, ...]) -> None:
    found = Path(path)
    if ".." in found.parts or not any(found.is_relative_to(folder) and found != folder for folder in folders):
        remedy = "the hospital sets collector.remote_paths"
        raise SettingsError(f"{path!r} is below no folder that may be read", step="configuration", remedy=remedy)


def _refusal(reason: str) -> SettingsError:
    return SettingsError(reason, step="configuration")
