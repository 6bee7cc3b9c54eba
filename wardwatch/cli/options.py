"""Values of options that several commands take, checked."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import typer


def time_zone(name: str) -> ZoneInfo:
    """Return the time zone of that name; raises BadParameter."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise typer.BadParameter(f"{name!r} is no time zone, such as Asia/Shanghai", param_hint="--zone") from None


def charset(name: str) -> str:
    """Return the name if it is one of a character set; raises BadParameter."""
    try:
        " ".encode(name)  # not b"".decode: nothing to decode needs no codec
    except (LookupError, ValueError):
        raise typer.BadParameter(f"{name!r} is no character set, such as gb18030", param_hint="--charset") from None
    return name
