"""Rule collections: what ``action: global | reset | repeat`` makes of the documents of one file.

Sigma's legacy collections, by pySigma's semantics: what is global wins over what a rule says itself, a repetition adds
to the rule before it; correlation rules and filters take over nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from detections.sigma.documents import MAX_BYTES, YamlDocument
from wardwatch.errors import RuleError

MAX_EXPANDED = 4 * MAX_BYTES
"""Characters that the rules of one file may have, each with what it takes over."""

_NOTHING = YamlDocument({}, 1, "")


def expand(documents: Iterable[YamlDocument]) -> Iterator[YamlDocument]:
    """Yield the rules of a file with what they take over; raises RuleError naming the line above MAX_EXPANDED."""
    everywhere, previous, size = _NOTHING, _NOTHING, 0
    for document in documents:
        action = document.value.get("action") if isinstance(document.value, dict) else None
        if action == "global":
            everywhere = previous = _added(_NOTHING, document)
        elif action == "reset":
            everywhere = _NOTHING
        else:
            if action == "repeat":
                document = previous = _added(previous, document)  # noqa: PLW2901 the rule that the repetition is
            elif action is None and _is_rule(document.value):
                document = previous = _under(document, everywhere)  # noqa: PLW2901 the rule with what is global
            size += len(document.shared) + len(document.text)
            if size > MAX_EXPANDED:
                raise RuleError("a collection that grows too large", step="rules", record=f"file:{document.line}")
            yield document


def _is_rule(value: object) -> bool:
    return isinstance(value, dict) and "correlation" not in value and "filter" not in value


def _added(base: YamlDocument, document: YamlDocument) -> YamlDocument:
    own = {name: value for name, value in document.value.items() if name != "action"}
    return replace(document, value=_merged(base.value, own), shared=base.shared + base.text)


def _under(document: YamlDocument, everywhere: YamlDocument) -> YamlDocument:
    return replace(document, value=_merged(document.value, everywhere.value), shared=everywhere.text)


def _merged(base: Mapping[Any, Any], over: Mapping[Any, Any]) -> dict[Any, Any]:
    return dict(base) | {
        name: _merged(base[name], value) if isinstance(value, dict) and isinstance(base.get(name), dict) else value
        for name, value in over.items()
    }
