"""Hostile text made safe to show."""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1, bidirectional controls, line and paragraph separators, byte-order mark
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def safe_cell(text: str) -> str:
    """Return the text of a CSV cell that no spreadsheet takes for a formula (OWASP ASVS 5.0.0, 1.2.10)."""
    shown = safe_text(text)
    return f"'{shown}" if text.startswith(_FORMULA) else shown


def safe_json(text: str) -> str:
    r"""Return JSON that means the same with what ``safe_text`` makes visible written as ``\uXXXX``."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def safe_text(text: str, *, limit: int | None = None) -> str:
    r"""Return the text with control characters, escapes and bidirectional marks made visible (``\x1b``, ``\u202e``).

    ``limit`` cuts to that many characters and marks the cut with an ellipsis.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    return _UNSAFE.sub(lambda found: found.group().encode("unicode_escape", "surrogatepass").decode("ascii"), text)
