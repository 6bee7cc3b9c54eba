"""Who is told: rows of ``routes``, ``escalations``, ``on_call`` and ``contacts`` (docs/reference/tables.md)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any, Literal, TypeVar

import structlog
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from enrich.notify.notice import NAMED, Kind, Notice
from wardwatch import service_levels
from wardwatch.alert import Severity
from wardwatch.errors import SettingsError
from wardwatch.event import Document
from wardwatch.service_levels import policy_of, zone_of
from wardwatch.tables import Tables

log = structlog.get_logger()

_Model = ConfigDict(frozen=True, extra="forbid")
_Name = Annotated[str, Field(min_length=1, max_length=100)]
Recipient = Annotated[str, Field(pattern=r"^(on_call|assignee|person:[a-z0-9][a-z0-9._@-]{0,63}|channel:.{1,100})$")]
"""``channel:NAME``, ``person:USER``, ``on_call`` (who has the shift) or ``assignee``."""

_LEVELS = list(Severity)
_Row = TypeVar("_Row", bound=BaseModel)


class Route(BaseModel):
    """Whom to tell of which notices, from a severity on, at which time: always, in business time or outside it."""

    model_config = _Model

    by: str = Field("", max_length=200)
    to: tuple[Recipient, ...] = Field(min_length=1, max_length=20)
    events: frozenset[Kind] = frozenset(Kind) - NAMED
    severity: Severity = Severity.LOW
    when: Literal["always", "business", "off_hours"] = "always"


class Step(BaseModel):
    """Whom to tell so many minutes after a deadline has passed, while nobody has acted."""

    model_config = _Model

    after_minutes: int = Field(0, ge=0, le=10_080)
    to: tuple[Recipient, ...] = Field(min_length=1, max_length=20)


class Escalation(BaseModel):
    """The chain of a breach."""

    model_config = _Model

    by: str = Field("", max_length=200)
    severities: frozenset[Severity] = frozenset(Severity)
    steps: tuple[Step, ...] = Field(min_length=1, max_length=20)


class Shift(BaseModel):
    """Who is on call from ``starts`` until before ``ends``."""

    model_config = _Model

    by: str = Field("", max_length=200)
    person: _Name
    starts: AwareDatetime
    ends: AwareDatetime


class Contact(BaseModel):
    """How a person, the key of the row, is reached: a channel, and the address or mention on it."""

    model_config = _Model

    by: str = Field("", max_length=200)
    channel: _Name
    address: str = Field("", max_length=200)


@dataclass(frozen=True, slots=True)
class Place:
    """One channel, the person behind it where there is one, and how long to wait before it is told."""

    channel: str
    person: str = ""
    wait: timedelta = timedelta()


def _check(table: str, model: type[BaseModel], row: Document) -> None:
    """Raise SettingsError naming the first field of a row that is wrong."""
    try:
        model.model_validate(row)
    except ValidationError as error:
        raise wrong_row(table, error) from None


check_route = partial(_check, "routes", Route)
check_escalation = partial(_check, "escalations", Escalation)
check_shift = partial(_check, "on_call", Shift)
check_contact = partial(_check, "contacts", Contact)


def wrong_row(table: str, error: ValidationError) -> SettingsError:
    """Return the error that names the first wrong field, without its value."""
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"])) or "the row"
    return SettingsError(f"{name}: {first['msg']}", step=table, remedy="docs/reference/tables.md has an example")


class Routes:
    """The rows in force."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def places(self, notice: Notice, now: datetime) -> set[Place]:
        """Return where a notice goes: its routes', its escalation's, and its assignee when it was assigned."""
        found: set[Place] = set()
        if notice.kind is Kind.ASSIGNED:
            found.update(self._of("assignee", notice, now))
        for route in _read(Route, self._rows("routes", notice.tenant)):
            if self._fits(route, notice, now):
                found.update(place for one in route.to for place in self._of(one, notice, now))
        if notice.kind is Kind.BREACHED:
            found.update(self._chain(notice, now))
        return found

    def contact(self, tenant: str, person: str) -> Contact | None:
        """Return how a person is reached."""
        row = self._rows("contacts", tenant).get(person)
        return next(_read(Contact, {person: row}), None) if row is not None else None

    def _chain(self, notice: Notice, now: datetime) -> Iterator[Place]:
        for chain in _read(Escalation, self._rows("escalations", notice.tenant)):
            if notice.severity in chain.severities:
                for step in chain.steps:
                    wait = timedelta(minutes=step.after_minutes)
                    for one in step.to:
                        yield from self._of(one, notice, now + wait, wait)

    def _fits(self, route: Route, notice: Notice, now: datetime) -> bool:
        if notice.kind not in route.events or _LEVELS.index(notice.severity) < _LEVELS.index(route.severity):
            return False
        return route.when == "always" or (route.when == "business") == self._is_business(notice.tenant, now)

    def _is_business(self, tenant: str, now: datetime) -> bool:
        calendar = policy_of(self._rows(service_levels.TABLE, tenant)).calendar
        zone = zone_of(self._tables.get("tenants", "", tenant))
        return calendar.between(now, now + timedelta(seconds=1), zone) > timedelta()

    def _of(self, recipient: str, notice: Notice, at: datetime, wait: timedelta = timedelta()) -> Iterator[Place]:
        what, _, name = recipient.partition(":")
        if what == "channel":
            yield Place(name, wait=wait)
            return
        people = {"person": [name], "assignee": [notice.person], "on_call": self._on_call(notice.tenant, at)}[what]
        for person in filter(None, people):
            contact = self.contact(notice.tenant, person)
            yield Place(contact.channel if contact else "", person, wait)

    def _on_call(self, tenant: str, at: datetime) -> list[str]:
        shifts = _read(Shift, self._rows("on_call", tenant))
        return sorted({shift.person for shift in shifts if shift.starts <= at < shift.ends})

    def _rows(self, table: str, tenant: str) -> Mapping[str, Document]:
        return self._tables.rows(table, tenant)


def _read(model: type[_Row], rows: Mapping[str, Any]) -> Iterator[_Row]:
    """Yield the rows that are right; a wrong one is logged by its key and does not hold."""
    for key, row in rows.items():
        try:
            yield model.model_validate(row)
        except ValidationError as error:
            log.warning("row_refused", table=model.__name__.lower(), key=key[:100], reason=error.errors()[0]["msg"])
