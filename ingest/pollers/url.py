"""Addresses of systems that are asked: ``scheme://host:port/rest``, where the rest may hold ``#``, ``?`` and ``*``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wardwatch.errors import SettingsError


@dataclass(frozen=True, slots=True)
class Url:
    """An address; ``rest`` is what stands behind the first slash."""

    scheme: str
    host: str
    port: int
    rest: str


def split_url(url: str, ports: Mapping[str, int], source: str, example: str) -> Url:
    """Return the parts of an address of one of these schemes with their default ports; raises SettingsError."""
    scheme, _, behind = url.partition("://")
    authority, _, rest = behind.partition("/")
    host, colon, port = authority.rpartition(":") if not authority.endswith("]") else (authority, "", "")
    host, port = (host, port) if colon else (authority, str(ports.get(scheme, 0)))
    if "@" in authority:
        remedy = "set user and password instead"
        raise SettingsError("url holds a user or password", step="collector", record=source, remedy=remedy)
    if scheme not in ports or not host or not port.isdigit() or not 0 < int(port) < 65536:
        remedy = f'write url = "{example}"'
        raise SettingsError(f"url {url!r} can't be used", step="collector", record=source, remedy=remedy)
    return Url(scheme, host.strip("[]"), int(port), rest)
