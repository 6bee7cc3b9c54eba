"""Own views: filters of the queue that a person keeps under a name, apart from those that everybody has.

A person's views are one document of the collection ``views``; the list in it is text, so that no name becomes a field.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import BaseModel, Field, TypeAdapter

from dashboards import audit
from dashboards.queue import Desk, QueueFilter, View, filter_of, totals_of
from wardwatch.errors import Conflict, NotFound, RecordError
from wardwatch.event import rfc3339
from wardwatch.store import Store, Stored

MOST = 20
NAME_CHARACTERS = 40


class SavedView(BaseModel):
    """A filter of the queue under a name; ``filter`` has what is set, by the names of the queue's address."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_CHARACTERS)]
    filter: dict[str, Annotated[str, Field(max_length=300)]]


_VIEWS = TypeAdapter(list[SavedView])


def of(store: Store, person: str) -> list[SavedView]:
    """Return a person's views in the order in which they were saved."""
    try:
        return _read(store.documents("views").get(person))
    except NotFound:
        return []


def save(desk: Desk, name: str, filters: QueueFilter) -> None:
    """Keep a filter under a name, also in place of another one; raises RecordError for what can't be kept."""
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_CHARACTERS:
        raise RecordError(f"a view's name has 1 to {NAME_CHARACTERS} characters", step="views")
    filters.query(desk)
    view = SavedView(name=name, filter=filters.given())

    def saved(views: list[SavedView]) -> list[SavedView]:
        if name in {each.name for each in views}:
            return [view if each.name == name else each for each in views]
        if len(views) >= MOST:
            raise RecordError(f"{MOST} views are kept at most: delete one first", step="views")
        return [*views, view]

    _change(desk.store, desk.person.name, saved)
    audit.record(desk.store, desk.person.name, "view_saved", view=name)


def delete(store: Store, person: str, name: str) -> None:
    """Forget a view; one that is not there is no error."""
    _change(store, person, lambda views: [each for each in views if each.name != name])
    audit.record(store, person, "view_deleted", view=name)


def tabs(desk: Desk, chosen: QueueFilter) -> list[View]:
    """Return a person's views as tabs with their counts; one whose filter is no longer understood counts nothing."""
    views = of(desk.store, desk.person.name)
    filters: dict[str, QueueFilter] = {}
    for view in views:
        with suppress(RecordError):
            own = filter_of(view.filter)
            own.query(desk)
            filters[view.name] = own
    here = replace(chosen, after="")
    return [
        View(name, own.url(), total, here == own)
        for (name, own), total in zip(filters.items(), totals_of(desk, list(filters.values())), strict=True)
    ]


def filter_from(address: str) -> QueueFilter:
    """Return the filter of a queue's query string; raises RecordError."""
    return filter_of(dict(parse_qsl(address.lstrip("?"), max_num_fields=20)))


def _read(stored: Stored) -> list[SavedView]:
    return _VIEWS.validate_json(stored.doc["views"])


def _change(store: Store, person: str, change: Callable[[list[SavedView]], list[SavedView]]) -> None:
    documents = store.documents("views")
    while True:
        try:
            stored = documents.get(person)
        except NotFound:
            stored = None
        views = change(_read(stored) if stored else [])
        doc = {"id": person, "at": rfc3339(datetime.now(UTC)), "views": _VIEWS.dump_json(views).decode()}
        with suppress(Conflict):  # saved in another window meanwhile
            if stored is None:
                documents.create(person, doc)
            else:
                documents.replace(person, doc, version=stored.version)
            return
