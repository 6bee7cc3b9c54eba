"""Names of MITRE ATT&CK tactics and techniques, from a file that ships: nothing is fetched at run time."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

_FILE = Path(__file__).parent / "attack.json"
_TECHNIQUE = re.compile(r"attack\.(t\d{4})(\.\d{3})?")
_OTHER = re.compile(r"attack\.(?:g|s|m|c|ds)\d{4}")  # groups, software, mitigations, campaigns, data sources
_SITE = "https://attack.mitre.org"


@cache
def _names() -> dict[str, Any]:
    names: dict[str, Any] = json.loads(_FILE.read_text("utf-8"))
    return names


def threat(tags: Iterable[str]) -> dict[str, Any]:
    """Return the ECS ``threat`` fields of a rule's tags; {} where no tag speaks of ATT&CK.

    A technique that the file does not name keeps its id as its name.
    """
    tactics = [each for tag in tags if (each := _tactic(tag))]
    techniques: dict[str, dict[str, Any]] = {}
    for found in filter(None, map(_TECHNIQUE.fullmatch, tags)):
        identifier = found[1].upper()
        technique = techniques.setdefault(identifier, _technique(identifier))
        if found[2]:
            technique.setdefault("subtechnique", []).append(_technique(identifier + found[2]))
    if not tactics and not techniques:
        return {}
    return {"framework": "MITRE ATT&CK", "tactic": tactics, "technique": list(techniques.values())}


def version() -> str:
    """Return the version of ATT&CK that ships."""
    return str(_names()["version"])


def is_known(tag: str) -> bool:
    """Tell whether a tag of the namespace ``attack`` names a tactic or technique, or has the form of another id."""
    technique = _TECHNIQUE.fullmatch(tag)
    if technique:
        return tag.removeprefix("attack.").upper() in _names()["techniques"]
    return _tactic(tag) is not None or _OTHER.fullmatch(tag) is not None


def _tactic(tag: str) -> dict[str, str] | None:
    found = (
        _names()["tactics"].get(tag.removeprefix("attack.").replace("_", "-")) if tag.startswith("attack.") else None
    )
    return found and {"id": found[0], "name": found[1], "reference": f"{_SITE}/tactics/{found[0]}/"}


def techniques(tags: Iterable[str]) -> list[str]:
    """Return the ids of techniques and sub-techniques among a rule's tags, each once."""
    found = filter(None, map(_TECHNIQUE.fullmatch, tags))
    return list(dict.fromkeys(f"{each[1]}{each[2] or ''}".upper() for each in found))


def name(identifier: str) -> str:
    """Return the name of a technique; its id where the file has none."""
    return str(_names()["techniques"].get(identifier, identifier))


def _technique(identifier: str) -> dict[str, Any]:
    return {
        "id": identifier,
        "name": name(identifier),
        "reference": f"{_SITE}/techniques/{identifier.replace('.', '/')}/",
    }
