"""What ran around an alert: its events' processes with their parents and children, as a tree.

A process is known by ``process.entity_id`` (Sysmon's ProcessGuid: ECS, "Process fields"), else by its number on its
host: numbers are used again, so the newest event before the child's is taken for the parent.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dashboards.present import AlertView, dig, shown
from wardwatch.alert import parse_alert_id
from wardwatch.event import Document, parse_time
from wardwatch.store import Scope, Store

BEFORE = timedelta(days=7)
AFTER = timedelta(hours=1)
_ANCESTORS = 6
_CHILDREN = 30
_EVENTS = 10
_LOOKED_AT = 20

Key = tuple[str, str]
"""Host, and entity id or number."""


@dataclass(frozen=True, slots=True)
class Process:
    """One line of the tree; ``at`` is the time of what is known of it, "" where only its child names it.

    ``hit`` marks a process of the alert's own events; ``depth`` counts from the oldest known parent.
    """

    name: str
    command: str
    user: str
    pid: str
    at: str
    hit: bool
    depth: int


def concerns(alert: AlertView) -> bool:
    """Tell whether an alert is about processes, from its own document."""
    return bool(dig(alert.doc, "process")) or any(name.startswith("process.") for name, _ in alert.matched)


def tree(store: Store, scope: Scope, alert: AlertView) -> list[Process]:
    """Return the processes of the alert's events, up to six ancestors, and what they started within an hour."""
    tenant = parse_alert_id(alert.id)[0]
    events = store.events.get(scope, tenant, alert.evidence_ids[:_EVENTS])
    own = {key: doc for doc in events if (key := _key(doc, "process"))}
    family: dict[Key, Document] = {}
    for doc in own.values():
        family |= {key: each for each in _children(store, scope, tenant, doc) if (key := _key(each, "process"))}
        family |= _ancestors(store, scope, tenant, doc)
    return list(_lines(family | own, own))


def _key(doc: Mapping[str, object], prefix: str) -> Key | None:
    identity = doc.get(f"{prefix}.entity_id") or doc.get(f"{prefix}.pid")
    return (str(doc.get("host.name", "")), str(identity)) if identity else None


def _same(doc: Document, of: str, sought: str) -> dict[str, str] | None:
    """Return the exact fields of events whose ``sought`` process is the one that ``of`` names in an event."""
    for name in ("entity_id", "pid"):
        value = doc.get(f"{of}.{name}")
        if value:
            host = doc.get("host.name")
            return {f"{sought}.{name}": str(value)} | ({"host.name": str(host)} if host else {})
    return None


def _children(store: Store, scope: Scope, tenant: str, doc: Document) -> list[Document]:
    fields, at = _same(doc, "process", "process.parent"), _at(doc)
    if not fields or not at:
        return []
    page = store.events.search(scope, tenant, fields=fields, start=at, end=at + AFTER, limit=_CHILDREN)
    return [item.doc for item in page.items]


def _ancestors(store: Store, scope: Scope, tenant: str, doc: Document) -> dict[Key, Document]:
    found: dict[Key, Document] = {}
    for _ in range(_ANCESTORS):
        fields, at, key = _same(doc, "process.parent", "process"), _at(doc), _key(doc, "process.parent")
        if not fields or not at or not key or key in found:
            break
        start, end = at - BEFORE, at + timedelta(milliseconds=1)
        page = store.events.search(scope, tenant, fields=fields, start=start, end=end, limit=_LOOKED_AT)
        docs = [item.doc for item in page.items] or [_named_by(doc)]
        doc = next((each for each in docs if _key(each, "process.parent")), docs[0])
        found[key] = doc
    return found


def _named_by(child: Document) -> Document:
    """Return what a child says of its parent, where no event of the parent is kept."""
    prefix = "process.parent."
    own = {f"process.{name.removeprefix(prefix)}": value for name, value in child.items() if name.startswith(prefix)}
    return own | {"host.name": child.get("host.name")}


def _lines(family: Mapping[Key, Document], own: Iterable[Key]) -> Iterator[Process]:
    below: dict[Key | None, list[Key]] = defaultdict(list)
    for key, doc in sorted(family.items(), key=lambda item: str(item[1].get("@timestamp", ""))):
        parent = _key(doc, "process.parent")
        below[parent if parent in family and parent != key else None].append(key)
    waiting, told = [(key, 0) for key in reversed(below[None])], set[Key]()
    while waiting:
        key, depth = waiting.pop()
        if key in told:  # numbers that were used again can name each other
            continue
        told.add(key)
        yield _process(family[key], key in own, depth)
        waiting += [(child, depth + 1) for child in reversed(below[key])]


def _process(doc: Document, hit: bool, depth: int) -> Process:
    path = shown(doc.get("process.executable"), 300)
    name = shown(doc.get("process.name"), 120) or path.replace("\\", "/").rpartition("/")[2] or "?"
    user = shown(doc.get("user.name") or doc.get("user.id"), 80)
    at = str(doc.get("@timestamp", ""))
    command = shown(doc.get("process.command_line"), 1000) or path
    return Process(name, command, user, shown(doc.get("process.pid"), 20), at, hit, depth)


def _at(doc: Document) -> datetime | None:
    value = doc.get("@timestamp")
    return parse_time(str(value)) if value else None
