"""CEF's extension: ``name=value name=value``, where values may hold spaces.

Source: Micro Focus "Implementing ArcSight Common Event Format (CEF)", version 25, "Extension Dictionary" and "Character
Encoding". Vendors leave equals signs of addresses unescaped, so a name is one only behind a space.
"""

from __future__ import annotations

import re

_NAME = re.compile(r"(?:^|\s)([A-Za-z_][\w.\[\]-]{0,99})(?<!\\)=")
_ESCAPED = re.compile(r"\\(.)", re.S)
_ESCAPES = {"n": "\n", "r": "\r"}
_MAX_PAIRS = 500
_LABELLED = re.compile(r"(?:cs|cn|cfp|c6a|deviceCustomDate|flexString|flexNumber|flexDate)\d{1,2}|(?:cs|cn)\d")


def pairs(extension: str) -> dict[str, str]:
    """Return the values by name; a custom one (``cs1``) has the name of its label (``cs1Label``) too."""
    parts = _NAME.split(extension, maxsplit=_MAX_PAIRS)
    found = {name: unescaped(value.strip()) for name, value in zip(parts[1::2], parts[2::2], strict=True)}
    labelled = [name for name in found if f"{name}Label" in found] if "Label=" in extension else []
    for name in filter(_LABELLED.fullmatch, labelled):
        found.setdefault(found[f"{name}Label"], found[name])
    return found


def unescaped(text: str) -> str:
    """Return a value without its escapes; a backslash before any other character stays, as in a Windows path."""
    if "\\" not in text:
        return text
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1]) or (found[1] if found[1] in r"\=|" else found[0]), text)
