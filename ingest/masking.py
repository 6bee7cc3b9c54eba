"""Text reduced to what rules need: what a program was asked for, without what a person typed into it.

Marks and a fixed vocabulary of words (``attack_words.txt``) stay, so that an attack in an address keeps its face, and a
patient's name in the same place does not. Every function is linear and leaves its own results as they are.
"""

from __future__ import annotations

import re
from importlib.resources import files

from ingest.identifiers import scrub_text

MASK = "*"
_WORDS = frozenset((files(__package__) / "attack_words.txt").read_text("utf-8").split())
_ESCAPE = re.compile(r"%(?:25)*([0-9A-Fa-f]{2})|\\x([0-9A-Fa-f]{2})|\\u([0-9A-Fa-f]{4})")
_WORD = re.compile(r"\w+")
_MASKS = re.compile(r"\*+")
_FOREIGN = re.compile(r"[^\x20-\x7e]+")
_LONG_DIGITS = re.compile(r"\d{5,}")
_KEPT = re.compile(r"(?:[A-Za-z ()<>\[\]{}.,:;!?@#&=+_-]|(?<![esES])/|\d{1,4}(?!\d))*+", re.A)
"""A text with nothing that ``masked`` looks for; homes end in e or s."""

_HOME = re.compile(r"((?:Users|home|Documents and Settings)[\\/]{1,2})[^\\/]{1,256}", re.I)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_ROUTE = re.compile(r"[A-Za-z_$][A-Za-z_$-]{0,31}\d{0,3}|v?\d{1,2}|\.{1,2}|", re.A)
_EXTENSIONS = re.compile(
    "action|ashx|asmx|aspx?|axd|bak|cfg|cgi|com|conf|config|css|db|dll|dmp|do|env|exe|gif|gz|html?|ico|inc|ini|jar|java|jpe?g|"
    r"js|json|jspx?|key|log|map|md|mdb|old|pem|php\d?|phtml|pl|png|ps1|py|rar|sh|shtml|sql|svc|svg|swf|tar|tgz|txt|war|"
    "woff2?|xlsx?|xml|ya?ml|zip",
    re.I,
)
_NAME = re.compile(r"[A-Za-z_$][\w.$\[\]-]{0,39}", re.A)
_ORIGIN = re.compile(r"((?:[a-z][a-z0-9+.-]{1,15}:)?//)([^/?#\s]{0,255})", re.I)


def masked(text: str) -> str:
    """Return text in printable ASCII, with ``*`` for anything else and for homes, ``N`` for five digits and more."""
    if _KEPT.fullmatch(text):
        return text
    homeless = _HOME.sub(rf"\1{MASK}", text)
    return _MASKS.sub(MASK, _LONG_DIGITS.sub("N", _FOREIGN.sub(MASK, _ESCAPE.sub(_escaped, homeless))))


def command(text: str) -> str:
    """Return a command without what stands in quotes, otherwise like ``masked``."""
    return masked(_QUOTED.sub(lambda found: f"{found[0][0]}{MASK}{found[0][0]}", text))


def url(text: str) -> str:
    """Return an address: its origin without an account, its route and the shape of its query; no fragment."""
    found = _ORIGIN.match(text)
    origin = f"{found[1]}{masked(scrub_text(found[2].rpartition('@')[2]))}" if found else ""
    path, mark, values = text[found.end() if found else 0 :].partition("#")[0].partition("?")
    return f"{origin}{route(path)}{mark}{query(values)}"


def route(path: str) -> str:
    """Return a path of plain words, short versions and files of programs; of other segments only the shape stays."""
    return "/".join(segment if _is_route(segment) else shape(segment) for segment in path.split("/"))


def query(text: str) -> str:
    """Return a query: its names, and the shape of each value."""
    return "&".join(_pair(pair) for pair in text.split("&"))


def shape(value: str) -> str:
    """Return the marks of a value and its words of the vocabulary; each run of anything else is one ``*``."""
    return _MASKS.sub(MASK, _FOREIGN.sub(MASK, "".join(_shaped(value))))


def _shaped(value: str) -> list[str]:
    pieces, start = [], 0
    for found in _ESCAPE.finditer(value):
        pieces += [_WORD.sub(_known, value[start : found.start()]), _escaped(found)]
        start = found.end()
    return [*pieces, _WORD.sub(_known, value[start:])]


def _known(word: re.Match[str]) -> str:
    return word[0] if word[0].lower() in _WORDS else MASK


def _escaped(found: re.Match[str]) -> str:
    """Return an escape as it is when it stands for a mark, since rules look for encoded attacks."""
    character = chr(int(found[1] or found[2] or found[3], 16))
    return found[0] if character.isascii() and not character.isalnum() else MASK


def _pair(pair: str) -> str:
    name, equals, value = pair.partition("=")
    if equals and _NAME.fullmatch(name) and not _LONG_DIGITS.search(name):
        return f"{name}={shape(value)}"
    return shape(pair)


def _is_route(segment: str) -> bool:
    stem, dot, extension = segment.rpartition(".")
    if dot and stem.strip("."):
        return _EXTENSIONS.fullmatch(extension) is not None and _ROUTE.fullmatch(stem) is not None
    return _ROUTE.fullmatch(segment) is not None
