"""The scrub: what identifies a patient or a member of staff becomes a token before the event leaves the hospital.

A source's policy names the fields and what is done with each. A value that can't be scrubbed is a ScrubError: the
record stays in the hospital.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Protocol, TypeGuard

from ingest import classification, masking
from ingest.identifiers import is_resident, is_suspect, scrub_text
from wardwatch.errors import ScrubError
from wardwatch.event import Document

POLICY_VERSION = "p2"
VIP = "hospital.patient.vip"


class Action(Enum):
    """What the scrub does with one field."""

    PATIENT = "pt"  # token of a patient's identifier or name
    STAFF = "st"  # token of a staff member's account or name
    ENCOUNTER = "en"  # token of a visit or order number
    STUDY = "sd"  # token of a study, accession or instance UID
    DROP = "drop"
    TEXT = "text"  # free text: identifiers inside it are replaced
    URL = "url"  # an address or its path: the route stays, of values only their shape (masking.py)
    QUERY = "query"  # an address's query, alike
    MASK = "mask"  # a name of a file or program: printable ASCII stays, without long numbers
    COMMAND = "command"  # a command: alike, and without what stands in quotes


class Tokens(Protocol):
    """A source of stable tokens; ``kind`` is the value of a token Action and becomes the token's prefix.

    ``assurance`` is ``random`` for tokens that tell nothing of their value, ``derived`` for those computed from it.
    """

    assurance: str

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value, the same for the same kind and value: ``pt_`` and 24 hexadecimal digits."""

    def guard(self, kind: str, value: str) -> None:
        """Note that a value is of a person whose token only two people together may reveal."""

    def commit(self) -> None:
        """Make every token handed out durable; called before an event that carries one is spooled."""


PATIENT_BOUND = frozenset((Action.PATIENT.value, Action.ENCOUNTER.value, Action.STUDY.value))
"""Kinds of tokens that belong to a patient."""

_TOKEN = re.compile(r"(pt|st|en|sd)_[0-9a-f]{24}")


def scrub(
    doc: Document, policy: Mapping[str, Action], tokens: Tokens, levels: classification.Table | None = None
) -> Document:
    """Return the document without what identifies a person, with ``privacy.*`` saying what was done.

    Every value of a policy's field, alone or in a list, is text or a whole number; an empty one and None carry nothing
    and leave with their field. A value that is a token already stays. Raises ScrubError for any other type, and where
    ``levels`` (ours by default) lets nothing leave.
    """
    clean = dict(doc)
    kinds: set[str] = set()
    for name in policy.keys() & doc.keys():
        value = _scrubbed(name, clean.pop(name), policy[name], tokens, kinds)
        if value is not None and value != []:
            clean[name] = value
    _sweep(clean, policy)
    clean["privacy.policy_version"] = POLICY_VERSION
    (levels or classification.table()).classify(clean, identified=not kinds.isdisjoint(PATIENT_BOUND))
    if kinds:
        clean["privacy.tokens"] = sorted(kinds)
        clean["privacy.assurance"] = tokens.assurance
    if doc.get(VIP) is True:
        _guard(doc, policy, tokens)
    return clean


def _guard(doc: Document, policy: Mapping[str, Action], tokens: Tokens) -> None:
    for name, action in policy.items():
        if action is Action.PATIENT and doc.get(name):
            tokens.guard(action.value, str(doc[name]))


def _sweep(clean: Document, policy: Mapping[str, Action]) -> None:
    """Replace the identifiers in fields that the policy leaves as they are; most events have none, told by one look."""
    rest = {name: clean[name] for name in _may_hold_text(frozenset(clean)) - policy.keys()}
    texts = [value for value in rest.values() if isinstance(value, str) and value.isascii()]
    if len(texts) < len(rest):
        clean.update((name, scrub_text(value)) for name, value in rest.items() if _is_foreign(value))
        texts += [text for value in rest.values() if isinstance(value, list) for text in value if isinstance(text, str)]
        for name, value in rest.items():
            if isinstance(value, int) and value > _LEAST_IDENTIFIER and _is_identifier(name, str(value)):
                del clean[name]
    if is_suspect("\n".join(texts)):
        clean.update((name, _swept(value)) for name, value in rest.items() if name in clean and not _is_foreign(value))


def _is_foreign(value: object) -> TypeGuard[str]:
    """Tell whether a value is text beyond ASCII: few are, and most of them are suspect, so each is looked at alone."""
    return isinstance(value, str) and not value.isascii()


def _is_identifier(name: str, digits: str) -> bool:
    """Tell whether a number is an identity number, or a telephone where no such quantity is counted."""
    return scrub_text(digits) != digits if not name.endswith(_QUANTITIES) else is_resident(digits)


_LEAST_IDENTIFIER = 10**10  # a telephone number of China has 11 digits
_QUANTITIES = (".bytes", ".packets", ".duration", ".sequence")  # 13 GB is no telephone


@lru_cache(maxsize=512)
def _may_hold_text(names: frozenset[str]) -> frozenset[str]:
    """Return the fields of an event that parsers don't fill with words of their own, addresses or hashes."""
    typed = (".ip", ".mac", ".sha256", ".sha1", ".md5")
    return frozenset(name for name in names if name not in _OWN_WORDS and not name.endswith(typed))


_OWN_WORDS = (
    "@timestamp",
    "ecs.version",
    *(f"event.{name}" for name in ("kind", "category", "type", "outcome", "dataset")),
)


def _swept(value: object) -> object:
    if isinstance(value, list):
        return [_swept(item) for item in value]
    return scrub_text(value) if isinstance(value, str) else value


def _scrubbed(name: str, value: object, action: Action, tokens: Tokens, kinds: set[str]) -> object:
    if action is Action.DROP:
        return None
    if isinstance(value, list):
        done = (_replaced(name, item, action, tokens, kinds) for item in value)
        return [item for item in done if item is not None]
    return _replaced(name, value, action, tokens, kinds)


def _replaced(name: str, value: object, action: Action, tokens: Tokens, kinds: set[str]) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ScrubError(f"{name} is {type(value).__name__}, not text", step="scrub")
    text = str(value).strip()
    if not text:
        return None
    if action in _REDUCTIONS:
        return _REDUCTIONS[action](text)
    kinds.add(action.value)
    known = _TOKEN.fullmatch(text)
    return text if known and known[1] == action.value else tokens.token(action.value, text)


_REDUCTIONS: Mapping[Action, Callable[[str], str]] = {
    Action.TEXT: scrub_text,
    Action.URL: masking.url,
    Action.QUERY: masking.query,
    Action.MASK: lambda text: masking.masked(scrub_text(text)),
    Action.COMMAND: lambda text: masking.command(scrub_text(text)),
}
