"""Why a correlation fires at an event, or what it lacks there: the rules it refers to and its window until then.

Pure: events in, a ``Correlated`` out; ``detections/correlation_text.py`` tells it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta, tzinfo

from detections.correlation import records
from detections.correlation.correlator import chained
from detections.correlation.loading import Intake, Names
from detections.correlation.records import Fed
from detections.correlation.replay import Replay
from detections.correlation.rule import Correlation, Number
from detections.correlation.written import Written
from detections.explaining import Explanation, explain
from detections.sigma import Ruleset
from detections.sigma.view import View
from wardwatch.event import Event, LogSource

TIME = "@timestamp"


@dataclass(frozen=True, slots=True)
class Window:
    """The window of the event's group when the event is in it; ``counts`` are the matches of each referenced rule."""

    group: dict[str, str]
    value: Number
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Correlated:
    """What a correlation makes of an event and of those before it.

    ``window`` is None where the event does not enter it: it meets no rule, or ``lacks`` the fields that are named.
    """

    correlation: Written
    matches: bool
    window: Window | None
    lacks: tuple[str, ...]
    parts: tuple[Explanation | Correlated, ...]


@dataclass
class History:
    """Takes in the events, in any order, with which one of them is explained."""

    correlation: Written
    ruleset: Ruleset
    zone: tzinfo
    _fed: list[tuple[Fed, Correlation]] = field(default_factory=list)
    _beneath: set[str] = field(init=False)

    def __post_init__(self) -> None:
        self._beneath = self.ruleset.correlated.beneath([self.correlation.id])

    @property
    def reach(self) -> timedelta:
        """How long before an event others can matter: twice the timespans, for an alert that goes on opens no other."""
        spans = (each.correlation.timespan_s for each in self.ruleset.correlations if each.id in self._beneath)
        return 2 * timedelta(seconds=sum(spans))

    def concerns(self, source: LogSource) -> bool:
        """Tell whether events of a log source can matter."""
        return any(rule.concerns(source) for rule in self.ruleset.rules if rule.id in self._beneath)

    def see(self, event: Event) -> None:
        """Remember what an event brings to the correlation and to those below it."""
        self._fed += self._brought(event)

    def explain(self, event: Event) -> Correlated:
        """Return what the correlation makes of an event that was seen; later ones are left out."""
        brought = {(above.card.id, fed.group): (fed, above) for fed, above in self._brought(event)}
        replay, fired = Replay(), set[str]()
        latest = next((fed.entry[:2] for fed, _ in brought.values()), (-1, ""))
        for fed, above in self._fed:
            if fed.entry[:2] <= latest:
                replay.take(fed, above)
        for firing in replay.firings():
            entered, _ = brought.get((firing.correlation.card.id, firing.group), (None, None))
            if entered and firing.last[:2] == entered.entry[:2]:
                fired.add(firing.correlation.card.id)
                brought |= {(above.card.id, fed.group): (fed, above) for fed, above in chained(firing)}
        windows = {above.card.id: _window(fed, above, replay) for fed, above in brought.values()}
        return self._explained(self.correlation, event, windows, fired)

    def _brought(self, event: Event) -> Iterator[tuple[Fed, Correlation]]:
        if not isinstance(event.doc.get(TIME), str):
            return
        met = [each.rule.id for each in self.ruleset.match(event, self.zone)]
        intakes = self.ruleset.correlated.of(met, event.tenant)
        for fed, above in records.of_event(intakes, event, View(event.doc, self.zone)):
            if above.card.id in self._beneath:
                yield fed, above

    def _explained(self, of: Written, event: Event, windows: dict[str, Window], fired: set[str]) -> Correlated:
        plain = {rule.id: rule for rule in self.ruleset.rules}
        others = {each.id: each for each in self.ruleset.correlations}
        parts = tuple(
            explain(plain[source.id], event, self.zone)
            if source.id in plain
            else self._explained(others[source.id], event, windows, fired)
            for source in of.correlation.sources
        )
        return Correlated(of, of.id in fired, windows.get(of.id), self._lacking(of, event, parts), parts)

    def _lacking(self, of: Written, event: Event, parts: tuple[Explanation | Correlated, ...]) -> tuple[str, ...]:
        """Return the fields for want of which an event that meets a rule does not enter the window."""
        view, missing = View(event.doc, self.zone), dict[str, None]()
        for part in parts:
            if isinstance(part, Explanation) and part.matches:
                (intake,) = (each for each in self.ruleset.correlated.intakes[part.rule.id] if _is_for(each, of))
                absent = [names[0] for names in (*intake.group, *intake.values, (TIME,)) if not _has(view, names)]
                unusable = [] if records.taken_in([intake], view) else [names[0] for names in intake.values]
                missing |= dict.fromkeys(absent or unusable)
        return tuple(missing)


def _has(view: View, names: Names) -> bool:
    return any(cell.raw is not None for name in names for cell in view.cells(name) or ())


def _is_for(intake: Intake, of: Written) -> bool:
    return intake.correlation.card.id == of.id


def _window(fed: Fed, above: Correlation, replay: Replay) -> Window:
    group = dict(zip(above.group_by, fed.group, strict=True))
    return Window(group, *replay.group(fed, above).measured())
