"""The console's words in English and Chinese: one TOML file per language with the same keys."""

from __future__ import annotations

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


def choose(wanted: str, accept: str) -> str:
    """Return the language that a person wants, else the first one known in Accept-Language (RFC 9110, 12.5.4)."""
    if wanted in LANGUAGES:
        return wanted
    for part in accept[:200].split(","):
        lang = part.partition(";")[0].strip()[:2].lower()
        if lang in LANGUAGES:
            return lang
    return DEFAULT
