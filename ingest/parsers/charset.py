"""Text of logs whose character set is not what the site says: Chinese systems mix UTF-8 and GBK in one file."""

from __future__ import annotations

_CHINESE = "gb18030"  # holds GBK and GB 2312


def text(data: bytes, charset: str) -> str:
    """Return the text of a record: in the site's ``charset``, else UTF-8, else GBK, else with replacement marks."""
    for name in dict.fromkeys((charset, "utf-8", _CHINESE)):
        try:
            return data.decode(name)
        except UnicodeDecodeError:
            continue
    return data.decode("utf-8", "replace")
