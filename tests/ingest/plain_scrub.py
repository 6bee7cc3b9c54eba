"""The scrub as its definition reads, each value alone: no plan, no joint look, nothing remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ingest import classification, masking
from ingest.identifiers import is_resident, scrub_text
from ingest.scrub import PATIENT_BOUND, POLICY_VERSION, Action, Tokens
from wardwatch.errors import ScrubError
from wardwatch.event import Document

_KINDS = (Action.PATIENT, Action.STAFF, Action.ENCOUNTER, Action.STUDY)
_OWN = ("@timestamp", "ecs.version", "event.kind", "event.category", "event.type", "event.outcome", "event.dataset")
_TYPED = (".ip", ".mac", ".sha256", ".sha1", ".md5")
_QUANTITIES = (".bytes", ".packets", ".duration", ".sequence")
REDUCTIONS: Mapping[Action, Callable[[str], str]] = {
    Action.TEXT: scrub_text,
    Action.URL: masking.url,
    Action.QUERY: masking.query,
    Action.MASK: lambda text: masking.masked(scrub_text(text)),
    Action.COMMAND: lambda text: masking.command(scrub_text(text)),
}


def plain_scrub(doc: Document, policy: Mapping[str, Action], tokens: Tokens) -> Document:
    """Return what ``ingest.scrub.scrub`` must return."""
    clean: Document = {}
    kinds: set[str] = set()
    for name, value in doc.items():
        if name in policy:
            done = _of_policy(value, policy[name], tokens, kinds)
            clean |= {} if done is None or done == [] else {name: done}
        elif not _is_identity(name, value):
            clean[name] = value if _is_typed(name) else _swept(value)
    clean["privacy.policy_version"] = POLICY_VERSION
    classification.table().classify(clean, frozenset(clean), identified=not kinds.isdisjoint(PATIENT_BOUND))
    if kinds:
        clean |= {"privacy.tokens": sorted(kinds), "privacy.assurance": tokens.assurance}
    return clean


def _of_policy(value: object, action: Action, tokens: Tokens, kinds: set[str]) -> object:
    if action is Action.DROP:
        return None
    if isinstance(value, list):
        return [done for item in value if (done := _of_policy_item(item, action, tokens, kinds)) is not None]
    return _of_policy_item(value, action, tokens, kinds)


def _of_policy_item(value: object, action: Action, tokens: Tokens, kinds: set[str]) -> object:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ScrubError("not text", step="scrub")
    text = str(value).strip()
    if not text:
        return None
    if action not in _KINDS:
        return REDUCTIONS[action](text)
    kinds.add(action.value)
    head, _, digits = text.partition("_")
    is_token = head == action.value and len(digits) == 24 and set(digits) <= set("0123456789abcdef")
    return text if is_token else tokens.token(action.value, text)


def _is_typed(name: str) -> bool:
    return name in _OWN or name.endswith(_TYPED)


def _is_identity(name: str, value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int) or value <= 10**10 or _is_typed(name):
        return False
    return is_resident(str(value)) if name.endswith(_QUANTITIES) else scrub_text(str(value)) != str(value)


def _swept(value: object) -> object:
    if isinstance(value, list):
        return [_swept(item) for item in value]
    if isinstance(value, dict):
        return {name: _swept(item) for name, item in value.items()}
    return scrub_text(value) if isinstance(value, str) else value
