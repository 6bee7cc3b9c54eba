"""Pairs ``name=value`` as firewalls write them: quoted values with escapes, or bare ones up to the next separator."""

from __future__ import annotations

import re
from functools import cache

_MAX_PAIRS = 500
_ESCAPED = re.compile(r"\\(.)", re.S)


@cache
def _pattern(separators: str) -> re.Pattern[str]:
    # a quote that is not closed reaches the end of the text, so that scanning stays linear
    return re.compile(rf'([A-Za-z_][\w.-]{{0,63}})=(?:"((?:[^"\\]|\\.)*)(?:"|\\?\Z)|([^{separators}]*))', re.S)


def pairs(text: str, separators: str = r"\s") -> dict[str, str]:
    """Return the values by name; of a name that comes twice the first stays. ``separators`` are a regex's class."""
    found: dict[str, str] = {}
    for number, match in enumerate(_pattern(separators).finditer(text)):
        if number == _MAX_PAIRS:
            break
        name, quoted, bare = match.groups()
        found.setdefault(name, bare.strip() if quoted is None else _ESCAPED.sub(r"\1", quoted))
    return found
