"""Chinese names, told from words by dictionary: a surname and one or two characters of given names (``names.toml``)."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files

_DATA = tomllib.loads((files(__package__) / "names.toml").read_text("utf-8"))
_SURNAME = f"(?:{'|'.join(_DATA['compound'].split())}|[{''.join(_DATA['surnames'].split())}])"
_GIVEN = f"[{''.join(_DATA['given'].split())}]"
_NOT_NAMES = frozenset(_DATA["words"].split())
_HAN = "\u3400-\u9fff"

NAME = rf"{_SURNAME}{_GIVEN}{{1,2}}"
"""A name in a regular expression."""

_ALONE = re.compile(rf"(?<![{_HAN}·]){NAME}(?![{_HAN}·])")


def replaced(text: str, replacement: str) -> str:
    """Return text without the names that stand alone: between anything but Chinese characters."""
    return _ALONE.sub(lambda found: found[0] if found[0] in _NOT_NAMES else replacement, text)
