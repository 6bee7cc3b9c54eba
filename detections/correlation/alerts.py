"""A firing as matches that fold into the alert of its correlation: one for each event that the alert lacks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from detections.correlation.group import Firing
from detections.correlation.rule import Correlation, Number
from detections.fold import NOWHERE, Arrival
from detections.matches import MatchRecord
from detections.sigma.rule import PLACEHOLDER
from wardwatch.event import Document, rfc3339
from wardwatch.text import safe_text

_COUNTED = {
    "event_count": ("events", "个事件"),
    "value_count": ("different values", "个不同的值"),
    "value_sum": ("in all", "（合计）"),
    "value_avg": ("on average", "（平均）"),
    "value_percentile": ("at the percentile", "（百分位）"),
    "value_median": ("in the middle", "（中位数）"),
    "temporal": ("different rules", "条不同的规则"),
    "temporal_ordered": ("rules in their order", "条规则依次命中"),
}


def arrivals(firing: Firing, taken_ms: int) -> Iterator[Arrival]:
    """Yield the matches of a firing; ``taken_ms`` is when the bus took the one at which it fired (Unix time)."""
    fields: Document = msgspec.json.decode(firing.fields)
    group = dict(zip(firing.correlation.group_by, firing.group, strict=True))
    sentence, found = _sentence(firing, group, fields), matched(firing)
    for entry in firing.evidence:
        match = MatchRecord(
            tenant=firing.tenant,
            rule=firing.correlation.card,
            group=group,
            event_id=entry.event_id,
            timestamp=time_of(entry.at_ms),
            index=entry.stored,
            source=firing.source,
            matched=found,
            fields=fields,
            sentence=sentence,
            opened=time_of(firing.opened_ms),
        )
        yield Arrival(match, NOWHERE, NOWHERE, taken_ms)


def time_of(at_ms: int) -> str:
    """Return a moment of a window (Unix ms) as RFC 3339."""
    return rfc3339(datetime.fromtimestamp(at_ms / 1000, UTC))


def matched(firing: Firing) -> dict[str, list[str]]:
    """Return what was measured, and how many matches of each rule the window has."""
    counts = zip(firing.correlation.sources, firing.counts, strict=True)
    measured = ", ".join(firing.correlation.fields) or firing.correlation.kind
    return {measured: [_number(firing.value)], **{source.title: [str(count)] for source, count in counts}}


def _number(value: Number) -> str:
    return str(value) if isinstance(value, int) or value.denominator == 1 else f"{float(value):.3f}"


def _sentence(firing: Firing, group: dict[str, str], fields: Document) -> dict[str, str]:
    reason, card = firing.correlation.reason, firing.correlation.card
    written = {
        language: _fill(reason[language], group, fields, _number(firing.value))
        if reason.get(language)
        else f"{card.title[language]}: {measured(firing.correlation, firing.value, language)}{grouped(group)}"
        for language in ("en", "zh")
    }
    return {language: safe_text(text, limit=1000) for language, text in written.items()}


def measured(rule: Correlation, value: Number, language: str) -> str:
    """Return in words what a window measures, such as ``5 events within 10 minutes``."""
    unit = _COUNTED[rule.kind][0 if language == "en" else 1]
    span = _span(rule, language)
    return f"{_number(value)} {unit}{' within ' if language == 'en' else '，'}{span}"


def _span(rule: Correlation, language: str) -> str:
    minutes, seconds = divmod(rule.timespan_s, 60)
    units = ("minutes", "seconds") if language == "en" else ("分钟内", "秒内")
    return f"{minutes} {units[0]}" if not seconds else f"{rule.timespan_s} {units[1]}"


def grouped(group: dict[str, str]) -> str:
    """Return the values of a group, to stand behind what it measures."""
    return "; " + ", ".join(f"{name} = {value}" for name, value in group.items()) if group else ""


def _fill(template: str, group: dict[str, str], fields: Document, value: str) -> str:
    """Return the template with values: of the group, ``{correlation.value}``, else of the event at which it fired."""
    known = {**fields, **group, "correlation.value": value}
    return PLACEHOLDER.sub(lambda found: _text(known.get(found[1])), template)


def _text(value: object) -> str:
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
