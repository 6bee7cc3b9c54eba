"""What the stages really write: the events and alerts of the simulated day and of every source's sample."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from itertools import cycle

from detections import matches
from detections.fold import Alerting, Arrival, fold
from detections.sigma import PACK, Ruleset
from detections.sigma.rule import Match
from detections.sigma.ruleset import ZONE
from detections.sigma.view import View
from enrich.context import Context
from enrich.lookups import Rows
from ingest.intake import Source, events_of
from ingest.parsers import PARSERS, Record, Site, parser
from ingest.vault import HmacTokens
from wardwatch.alert import AlertDocument
from wardwatch.demo.day import day, moment
from wardwatch.demo.hospital import Hospital
from wardwatch.errors import RecordError
from wardwatch.event import Event
from wardwatch.settings import SourceSettings

MIDNIGHT = datetime(2026, 3, 9, 16, 0, tzinfo=UTC)
_TOKENS = HmacTokens(bytes(32))


def events(hospital: Hospital) -> Iterator[Event]:
    """Yield the events that a hospital's collector forwards; a record that no parser can read gives none."""
    for source, data, received in _records(hospital):
        settings = SourceSettings(parser=source, transport="tcp", listen="127.0.0.1:1")
        try:
            yield from events_of(
                Record(data, peer="10.3.1.5", received=received),
                Source(settings, parser(source), Site()),
                hospital.tenant,
                _TOKENS,
            )
        except RecordError:
            continue


def _records(hospital: Hospital) -> Iterator[tuple[str, bytes, datetime]]:
    for step in day(hospital, events=400):
        at = moment(hospital, MIDNIGHT, step.at_s)
        yield step.source.removesuffix("_udp"), step.make(at), at
    for source in PARSERS:
        for data in parser(source).split(parser(source).sample()):
            yield source, data, MIDNIGHT


def alerts(hospital: Hospital, found: Iterable[Event], tables: Rows) -> Iterator[AlertDocument]:
    """Yield the alert of each event, as if one of the shipped rules after the other had matched it."""
    alerting = Alerting(3600, "https://soc.example", hospital.name_en, MIDNIGHT + timedelta(days=1))
    context = Context(tables)
    rules = cycle(Ruleset.load([PACK]).rules)
    for number, event in enumerate(deepcopy(list(found))):
        context.enrich(event)
        view = View(event.doc, ZONE)
        match = matches.of_event(Match(next(rules), {"event.action": ["read"]}), event, view)
        doc = fold(None, [Arrival(match, 0, number, number)], alerting)
        assert doc is not None
        yield doc


def names(value: object, above: str = "") -> Iterator[str]:
    """Yield the dotted names of all values in a document that an index would map."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from names(inner, f"{above}.{name}" if above else name)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner, above)
    elif value is not None:
        yield above
