"""The monthly report in one language: headed tables with what is said above them, for a page and for Markdown alike."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from dashboards.figures import NEWEST, Figures
from dashboards.hospitals import Hospital
from dashboards.i18n import known, word
from dashboards.monthly.report import CaseMonth, MonthlyReport, Silence
from dashboards.present import duration, moment
from dashboards.summary import escaped
from wardwatch.alert import Verdict
from wardwatch.event import parse_time
from wardwatch.text import safe_text

NONE: Final = "—"
_FALSE: Final = (Verdict.FALSE_POSITIVE_LOGIC, Verdict.FALSE_POSITIVE_DATA)
_DEFINED: Final = ("acknowledge", "decide", "in_time", "precision", "left_out")


@dataclass(frozen=True, slots=True)
class Section:
    """One part: sentences, then a table. ``figures`` tells that all columns but the first are numbers."""

    title: str
    said: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)
    figures: bool = True


def sections(found: MonthlyReport, hospital: Hospital, lang: str) -> list[Section]:
    """Return the parts in their order, without those that have nothing to tell."""
    writer = _Writer(found, hospital, lang)
    return [each for each in writer.parts() if each.said or each.rows]


def headline(found: MonthlyReport, hospital: Hospital, lang: str) -> str:
    """Return the report's title."""
    return word(lang, "monthly.headline", hospital=hospital.name(lang), month=found.month)


def markdown(title: str, parts: list[Section]) -> str:
    """Return the report as Markdown with tables (GitHub Flavored Markdown 0.29, 4.10); what others wrote is escaped."""
    lines = [f"# {escaped(title)}"]
    for each in parts:
        lines += ["", f"## {escaped(each.title)}", *(f"\n{escaped(text)}" for text in each.said)]
        if each.rows:
            lines += ["", _line(each.heads), "|" + " --- |" * len(each.heads), *map(_line, each.rows)]
    return "\n".join(lines) + "\n"


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(map(escaped, cells)) + " |"


class _Writer:
    """Writes the parts of one report."""

    def __init__(self, found: MonthlyReport, hospital: Hospital, lang: str) -> None:
        self._found, self._zone, self._lang = found, hospital.zone, lang
        self._say = partial(word, lang)

    def parts(self) -> Iterator[Section]:
        """Yield every part."""
        found = self._found
        yield Section(self._say("monthly.summary"), list(self._summary()))
        yield self._table("funnel", ("month", "before"), self._funnel())
        yield self._table("levels", ("alerts", *_TIMES), self._levels())
        yield self._table("verdicts", ("alerts", "share"), self._verdicts())
        yield self._table("rules", ("alerts", "true", "benign", "false", "open"), self._rules())
        yield self._told("cases", ("severity", "opened", "closed", "verdict", "lessons"), map(self._case, found.cases))
        awaited = ([each.text, each.case, self._at(each.asked_at), self._at(each.due_at)] for each in found.awaited)
        yield self._told("awaited", ("case", "asked", "due"), awaited)
        yield self._told("silences", ("since", "until", "length"), map(self._silence, found.silences))
        tuned = ([each.reason, each.by, self._at(each.at)] for each in found.suppressions)
        yield self._told("tuned", ("by", "at"), tuned)
        yield Section(self._say("figures.definitions"), list(self._notes()))

    def _table(self, name: str, columns: tuple[str, ...], rows: Iterator[list[str]]) -> Section:
        heads = [self._say(f"monthly.{name}_of"), *(self._say(f"monthly.column_{each}") for each in columns)]
        return Section(self._say(f"monthly.{name}"), heads=heads, rows=list(rows))

    def _told(self, name: str, columns: tuple[str, ...], rows: Iterator[list[str]]) -> Section:
        table = self._table(name, columns, rows)
        shown = [[safe_text(cell, limit=1000) for cell in row] for row in table.rows]
        return Section(table.title, heads=table.heads, rows=shown, figures=False)

    def _summary(self) -> Iterator[str]:
        found, whole = self._found, self._found.whole
        if found.end > found.made_at:
            yield self._say("monthly.so_far", at=self._at(found.made_at))
        yield self._say(
            "monthly.said_alerts",
            alerts=whole.alerts,
            before=found.before.alerts,
            decided=whole.decide.alerts,
            true=whole.verdicts.get(Verdict.TRUE_POSITIVE, 0),
        )
        still_open = sum(not each.closed_at for each in found.cases)
        yield self._say("monthly.said_cases", cases=len(found.cases), open=still_open)
        if whole.decided_in_time is not None:
            yield self._say(
                "monthly.said_time", share=_share(whole.decided_in_time), median=self._length(whole.decide.median_s)
            )
        if found.awaited:
            yield self._say("monthly.said_awaited", n=len(found.awaited))
        if found.silences:
            yield self._say("monthly.said_silent", n=len(found.silences))

    def _funnel(self) -> Iterator[list[str]]:
        both = (self._found.whole, self._found.before)
        yield [self._say("monthly.raised"), *(str(each.alerts) for each in both)]
        yield [self._say("monthly.decided"), *(str(each.decide.alerts) for each in both)]
        yield [self._say("monthly.in_cases"), *(str(each.in_cases) for each in both)]
        yield [self._say("monthly.true"), *(str(each.verdicts.get(Verdict.TRUE_POSITIVE, 0)) for each in both)]
        yield [self._say("figures.precision"), *(_share(each.precision) for each in both)]
        yield [self._say("monthly.acknowledged_in_time"), *(_share(each.acknowledged_in_time) for each in both)]
        yield [self._say("monthly.decided_in_time"), *(_share(each.decided_in_time) for each in both)]

    def _levels(self) -> Iterator[list[str]]:
        for severity, each in self._found.severities.items():
            times = [self._length(each.acknowledge.median_s), self._length(each.acknowledge.p90_s)]
            times += [_share(each.acknowledged_in_time), self._length(each.decide.median_s)]
            times += [self._length(each.decide.p90_s), _share(each.decided_in_time)]
            yield [known(self._lang, f"severity.{severity}", severity), str(each.alerts), *times]

    def _verdicts(self) -> Iterator[list[str]]:
        verdicts = self._found.whole.verdicts
        total = sum(verdicts.values())
        for verdict, n in sorted(verdicts.items(), key=lambda item: -item[1]):
            yield [known(self._lang, f"verdict.{verdict}", verdict), str(n), _share(n / total)]

    def _rules(self) -> Iterator[list[str]]:
        for each in self._found.rules:
            title = each.title.get(self._lang) or each.title.get("en") or each.rule
            yield [safe_text(title, limit=200), *_counts(each.figures)]

    def _case(self, each: CaseMonth) -> list[str]:
        verdict = known(self._lang, f"verdict.{each.verdict}", str(each.verdict)) if each.verdict else ""
        status = known(self._lang, f"case_status.{each.status}", each.status)
        closed = self._at(each.closed_at) if each.closed_at else status
        severity = known(self._lang, f"severity.{each.severity}", each.severity)
        return [f"{each.title} ({each.id})", severity, self._at(each.opened_at), closed, verdict, each.lessons]

    def _silence(self, each: Silence) -> list[str]:
        if not each.until:
            return [each.source, self._at(each.since), self._say("monthly.lasts"), NONE]
        length = duration(parse_time(each.until) - parse_time(each.since), self._lang)
        return [each.source, self._at(each.since), self._at(each.until), length]

    def _notes(self) -> Iterator[str]:
        found = self._found
        if not found.complete:
            yield self._say("monthly.newest", n=f"{NEWEST:,}")
        if found.hidden:
            yield self._say("monthly.hidden", n=found.hidden)
        yield self._say("monthly.made", at=self._at(found.made_at), zone=found.zone)
        for name in _DEFINED:
            yield self._say(f"figures.what_{name}")

    def _at(self, text: str | None) -> str:
        return moment(text, self._zone).text[:16] if text else NONE

    def _length(self, seconds: float | None) -> str:
        return NONE if seconds is None else duration(timedelta(seconds=seconds), self._lang)


_TIMES: Final = ("acknowledge", "p90", "in_time", "decide", "p90", "in_time")


def _counts(each: Figures) -> list[str]:
    verdicts = each.verdicts
    false = sum(verdicts.get(verdict, 0) for verdict in _FALSE)
    judged = [verdicts.get(Verdict.TRUE_POSITIVE, 0), verdicts.get(Verdict.BENIGN_POSITIVE, 0), false]
    return [str(n) for n in (each.alerts, *judged, each.open)]


def _share(value: float | None) -> str:
    return NONE if value is None else f"{value:.0%}"
