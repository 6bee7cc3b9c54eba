"""The scrub: what identifies a patient or a member of staff becomes a token before the event leaves the hospital.

A source's policy names the fields and what is done with each. A value that can't be scrubbed is a ScrubError: the
record stays in the hospital.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from ingest import classification, masking
from ingest.identifiers import is_resident, remembered, scrub_text, suspects
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

_TOKENS = frozenset((Action.PATIENT, Action.STAFF, Action.ENCOUNTER, Action.STUDY))
_TOKEN = re.compile(r"(pt|st|en|sd)_[0-9a-f]{24}")


def scrub(
    doc: Document, policy: Mapping[str, Action], tokens: Tokens, levels: classification.Table | None = None
) -> Document:
    """Return the document without what identifies a person, with ``privacy.*`` saying what was done.

    Every value of a policy's field, alone or in a list, is text or a whole number; an empty one and None carry nothing
    and leave with their field. A value that is a token already stays. In fields of no policy identifiers are replaced
    as in free text. Raises ScrubError for any other type, and where ``levels`` (ours by default) lets nothing leave.
    """
    plan = _plan(doc, policy)
    clean = dict(doc)
    kinds: set[str] = set()
    for name, kind in plan.tokens:
        text = clean[name].strip()
        if text:
            clean[name] = _token(text, kind, tokens)
            kinds.add(kind)
        else:
            del clean[name]
    for name, action in plan.replaced:
        value = _scrubbed(name, clean[name], action, tokens, kinds)
        if value is None or value == []:
            del clean[name]
        else:
            clean[name] = value
    _sweep(clean, plan)
    for name, reduce in plan.reduced:
        if name in clean:
            clean[name] = reduce(clean[name])
    clean["privacy.policy_version"] = POLICY_VERSION
    names = plan.names if len(clean) == len(plan.names) else frozenset(clean)
    (levels or classification.table()).classify(clean, names, identified=not kinds.isdisjoint(PATIENT_BOUND))
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


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is done with documents that have the same names and types of values."""

    policy: Mapping[str, Action]  # kept, so that no other one has its id
    tokens: list[tuple[str, str]]  # names and kinds of texts that become tokens
    replaced: list[tuple[str, Action]]
    stripped: list[str]  # free text of the policy
    texts: list[str]  # looked at together, as most hold nothing
    lists: list[str]
    numbers: list[str]
    reduced: list[tuple[str, Callable[[str], str]]]  # after the look
    names: frozenset[str]


_PLANS: dict[Hashable, _Plan] = {}
_MAX_PLANS = 1024
_MAX_PLANNED = 128  # fields of a document whose plan is kept


def _plan(doc: Document, policy: Mapping[str, Action]) -> _Plan:
    shape = (id(policy), *doc, *map(type, doc.values()))
    found = _PLANS.get(shape)
    if found is None:
        found = _planned(doc, policy)
        if len(_PLANS) >= _MAX_PLANS:
            _PLANS.clear()
        if len(doc) <= _MAX_PLANNED:
            _PLANS[shape] = found
    return found


def _planned(doc: Document, policy: Mapping[str, Action]) -> _Plan:
    texts = {name: policy[name] for name, value in doc.items() if name in policy and isinstance(value, str)}
    stripped = [name for name, action in texts.items() if action in _AFTER]
    tokens = [(name, action.value) for name, action in texts.items() if action in _TOKENS]
    done = {*stripped, *dict(tokens)}
    swept = {name: value for name, value in doc.items() if name not in policy and _may_hold_text(name)}
    return _Plan(
        policy,
        tokens,
        [(name, policy[name]) for name in doc if name in policy and name not in done],
        stripped,
        stripped + [name for name, value in swept.items() if isinstance(value, str)],
        [name for name, value in swept.items() if isinstance(value, list)],
        [name for name, value in swept.items() if isinstance(value, int) and not isinstance(value, bool)],
        [(name, reduce) for name in stripped if (reduce := _AFTER[policy[name]])],
        frozenset(doc) | {"privacy.policy_version"},
    )


def _sweep(clean: Document, plan: _Plan) -> None:
    """Replace the identifiers in free text and in fields of no policy; most have none, told by one look at all."""
    names = plan.texts
    for name in plan.stripped:
        clean[name] = clean[name].strip()
        if not clean[name]:
            del clean[name]
            names = [other for other in names if other != name]
    texts: list[str] = [clean[name] for name in names]
    if plan.lists:
        items = [(name, item) for name in plan.lists for item in _texts_in(clean[name])]
        names = [*names, *(name for name, _ in items)]
        texts += [item for _, item in items]
    for name in {names[place] for place in suspects(texts)}:
        clean[name] = _swept(clean[name])
    for name in plan.numbers:
        if clean[name] > _LEAST_IDENTIFIER and _is_identifier(name, str(clean[name])):
            del clean[name]


def _texts_in(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts_in(item)


def _is_identifier(name: str, digits: str) -> bool:
    """Tell whether a number is an identity number, or a telephone where no such quantity is counted."""
    return scrub_text(digits) != digits if not name.endswith(_QUANTITIES) else is_resident(digits)


_LEAST_IDENTIFIER = 10**10  # a telephone number of China has 11 digits
_QUANTITIES = (".bytes", ".packets", ".duration", ".sequence")  # 13 GB is no telephone


def _may_hold_text(name: str) -> bool:
    """Tell whether a field is none that parsers fill with words of their own, addresses or hashes."""
    return name not in _OWN_WORDS and not name.endswith((".ip", ".mac", ".sha256", ".sha1", ".md5"))


_OWN_WORDS = (
    "@timestamp",
    "ecs.version",
    *(f"event.{name}" for name in ("kind", "category", "type", "outcome", "dataset")),
)


def _swept(value: object) -> object:
    if isinstance(value, list):
        return [_swept(item) for item in value]
    if isinstance(value, dict):
        return {name: _swept(item) for name, item in value.items()}
    return remembered(value) if isinstance(value, str) else value


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
    return _token(text, action.value, tokens)


def _token(text: str, kind: str, tokens: Tokens) -> str:
    return text if text[:2] == kind and _TOKEN.fullmatch(text) else tokens.token(kind, text)


_REDUCTIONS: Mapping[Action, Callable[[str], str]] = {
    Action.TEXT: remembered,
    Action.URL: masking.url,
    Action.QUERY: masking.query,
    Action.MASK: lambda text: masking.masked(remembered(text)),
    Action.COMMAND: lambda text: masking.command(remembered(text)),
}
_AFTER: Mapping[Action, Callable[[str], str] | None] = {
    Action.TEXT: None,
    Action.MASK: masking.masked,
    Action.COMMAND: masking.command,
}
"""What remains to be done with free text whose identifiers are replaced."""
