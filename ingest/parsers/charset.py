"""Text of logs whose character set is not what the site says: Chinese systems mix UTF-8 and GBK in one file."""

from __future__ import annotations

_CHINESE = "gb18030"  # holds GBK and GB 2312


def text(data: bytes, *charsets: str) -> str:
    """Return a record's text: in the first of ``charsets``, UTF-8 and GBK that reads it, else with replacements."""
    for name in dict.fromkeys((*charsets, "utf-8", _CHINESE)):
        try:
            return data.decode(name)
        except (UnicodeError, LookupError):
            continue
    return data.decode("utf-8", "replace")
