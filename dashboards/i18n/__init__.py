"""The console's words in English and Chinese: one TOML file per language with the same keys.

Why something was refused is said in English by the functions that refuse it; ``reasons.zh.toml`` says it in Chinese.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

LANGUAGES = ("en", "zh")
DEFAULT = "en"


@cache
def catalogue(lang: str) -> dict[str, str]:
    """Return the words of a language by dotted key."""
    tables = tomllib.loads((Path(__file__).parent / f"{lang}.toml").read_text("utf-8"))
    return {f"{table}.{key}": text for table, words in tables.items() for key, text in words.items()}


def word(lang: str, key: str, **values: object) -> str:
    """Return the text of a key with its ``{values}`` filled in; raises KeyError for a key nobody wrote."""
    return catalogue(lang)[key].format(**values)


def known(lang: str, key: str, otherwise: str) -> str:
    """Return the text of a key that comes from data, or the data itself."""
    return catalogue(lang).get(key, otherwise)


def reason(lang: str, text: str) -> str:
    """Return why something was refused in a language; a reason that nobody translated is said in English."""
    reasons, things = _reasons() if lang == "zh" else ([], {})
    for pattern, said in reasons:
        if found := pattern.fullmatch(text):
            return said.format(*(things.get(value, value) for value in found.groups()))
    return text


@cache
def _reasons() -> tuple[list[tuple[re.Pattern[str], str]], dict[str, str]]:
    """Return patterns of English reasons with what they are in Chinese, those with most words of their own first."""
    read = tomllib.loads((Path(__file__).parent / "reasons.zh.toml").read_text("utf-8"))
    ordered = sorted(read["reasons"].items(), key=lambda item: -len(item[0]))
    patterns = [(re.compile("(.+?)".join(map(re.escape, key.split("{}")))), said) for key, said in ordered]
    return patterns, read["things"]


def choose(wanted: str, accept: str) -> str:
    """Return the language that a person wants, else the first one known in Accept-Language (RFC 9110, 12.5.4)."""
    if wanted in LANGUAGES:
        return wanted
    for part in accept[:200].split(","):
        lang = part.partition(";")[0].strip()[:2].lower()
        if lang in LANGUAGES:
            return lang
    return DEFAULT
