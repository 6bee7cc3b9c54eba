"""One alert as Markdown (CommonMark), for a ticket or a chat: what logs wrote is escaped, no patient is named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial

from dashboards.i18n import known, word
from dashboards.present import AlertView

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~&@:])")


def escaped(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def markdown(alert: AlertView, link: str) -> str:
    """Return the alert with the address at which it stands."""
    return "\n".join(_lines(alert, link)) + "\n"


def _lines(alert: AlertView, link: str) -> Iterator[str]:
    say = partial(word, alert.lang)
    yield f"## {escaped(alert.title)}\n"
    yield f"{escaped(alert.sentence)}\n"
    for name, value in _facts(alert):
        yield f"- **{name}**: {escaped(value)}"
    if alert.matched:
        yield f"\n### {say('alert.matched')}\n"
        for field, values in alert.matched:
            yield f"- {escaped(field)}: {escaped(', '.join(values))}"
    yield f"\n<{link}>"


def _facts(alert: AlertView) -> Iterator[tuple[str, str]]:
    say = partial(word, alert.lang)
    points = ", ".join(f"{term.name} {term.value} ({term.points:g})" for term in alert.terms)
    status = known(alert.lang, f"status.{alert.status}", alert.status)
    verdict = known(alert.lang, f"verdict.{alert.verdict}", alert.verdict)
    yield say("column.hospital"), alert.hospital.name(alert.lang)
    yield say("column.priority"), f"P{alert.level} {alert.priority}" + (f" = {points}" if points else "")
    yield say("alert.severity"), known(alert.lang, f"severity.{alert.severity}", alert.severity)
    yield say("column.state"), f"{status} {verdict}".strip()
    yield (
        say("summary.seen"),
        f"{alert.first_seen.text} – {alert.last_seen.text} ({alert.first_seen.utc}), ×{alert.count}",
    )
    for kind, value in alert.entities:
        yield say(f"entity.{kind}"), value
    yield say("tab.rule"), f"{alert.rule('name')} ({alert.rule('id')})"
    if alert.techniques:
        yield "ATT&CK", ", ".join(alert.techniques)
