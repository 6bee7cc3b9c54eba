"""``wardwatch rules explain``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detections import correlation_text, opening
from detections.archive import Span
from detections.cli.loaded import load
from detections.cli.opened import opened as opened_lab
from detections.correlation.written import Written
from detections.explaining import Explanation
from detections.explaining import explain as explained
from detections.explaining_correlations import Correlated, History
from detections.explanation_text import LANGUAGES, Teller
from detections.scanning import Hospital, complete, is_complete
from detections.sigma import Rule, Ruleset
from enrich.context import Context
from enrich.lookups.inventory import read_rows
from wardwatch import settings
from wardwatch.cli import options
from wardwatch.errors import NotFound, ParseError
from wardwatch.event import Event, parse_time
from wardwatch.sources import ReadRecord, reader
from wardwatch.text import safe_text


class Language(StrEnum):
    """What explanations are written in."""

    EN = "en"
    ZH = "zh"
    BOTH = "both"


def explain(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A rule's file, its id or its name.")],
    event: Annotated[str, typer.Argument(metavar="EVENT", help="A file with the event; - is standard input.")] = "",
    record: Annotated[int, typer.Option(min=1, help="Number of the event's record in the file.")] = 1,
    event_id: Annotated[str, typer.Option(help="Take the event with this event.id from the store, not a file.")] = "",
    tenant: Annotated[str, typer.Option(help="With --event-id: the hospital's slug.")] = "",
    source: Annotated[str, typer.Option(help="What wrote the file; default: told by its first bytes.")] = "",
    rules: Annotated[list[Path] | None, typer.Option("--rules", help="Where to look for the rule.")] = None,
    lang: Annotated[Language | None, typer.Option(help="Default: by the locale.")] = None,
    zone: Annotated[str, typer.Option(help="Time zone of the hospital that a file is from.")] = "Asia/Shanghai",
    assets: Annotated[Path | None, typer.Option(help="Inventory (CSV) of the hospital that a file is from.")] = None,
) -> None:
    """Say why a rule matches an event, or exactly which part of its condition failed. Exit 0 matches, 1 does not.

    For a correlation: what its window held when the event came, by the other records of the file or the other events of
    the store, and what the event does to each rule that it refers to.

    \b
    Examples:
      wardwatch rules explain my-rules/ssh.yml event.json
      wardwatch rules explain mysql_tongfang server_audit.log --record 812 --lang both
      wardwatch rules explain 8eca5b3b-b7ae-46dd-b1a1-1162c1a76359 --tenant renai --event-id 5d1c…
      wardwatch rules explain linux_ssh_guessed secure.log --record 31
    """
    found, ruleset = _rule(rule, rules)
    if bool(event) == bool(event_id):
        raise typer.BadParameter("name a file with the event, or one of the store by --event-id", param_hint="EVENT")
    if event_id and not tenant:
        raise typer.BadParameter("an event of the store is named with its hospital", param_hint="--tenant")
    if event_id:
        answer = _of_store(found, ruleset, event_id, tenant)
    else:
        context = Context(Hospital(zone, read_rows(assets) if assets else {}))
        inquiry = _inquiry(found, ruleset, options.time_zone(zone))
        answer = _of_file(inquiry, Path(event), record, source, context)
    typer.echo(f"{safe_text(found.title)} ({found.id}, {safe_text(str(found.file))}:{found.line})")
    for language in _languages(lang):
        typer.echo("\n" + "\n".join(_told(answer, language)))
    raise typer.Exit(0 if answer.matches else 1)


@dataclass(frozen=True, slots=True)
class _Plain:
    """Asks about a rule to which other events are nothing, as ``History`` asks about a correlation."""

    rule: Rule
    zone: tzinfo

    def explain(self, event: Event) -> Explanation:
        return explained(self.rule, event, self.zone)


def _inquiry(rule: Rule | Written, ruleset: Ruleset, zone: tzinfo) -> _Plain | History:
    return _Plain(rule, zone) if isinstance(rule, Rule) else History(rule, ruleset, zone)


def _told(answer: Explanation | Correlated, language: str) -> Iterator[str]:
    if isinstance(answer, Correlated):
        yield from correlation_text.lines(answer, language)
        return
    teller = Teller.of(language)
    yield teller.answer(answer)
    yield from teller.tree(answer)


def _languages(lang: Language | None) -> list[str]:
    if lang is Language.BOTH:
        return list(LANGUAGES)
    local = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return [lang.value if lang else "zh" if local.startswith("zh") else "en"]


def _rule(named: str, paths: list[Path] | None) -> tuple[Rule | Written, Ruleset]:
    is_file = Path(named).is_file()
    ruleset = load([Path(named)] if is_file else paths)
    found = ruleset.loaded if is_file else list(_called(named, ruleset))
    if len(found) == 1:
        return found[0], ruleset
    why = "; ".join(str(each) for each in ruleset.rejected) if is_file else ""
    what = f"{len(found)} rules are" if found else "no rule is"
    remedy = "its id or name, with --rules FOLDER, chooses one; wardwatch rules list --json has the ids"
    raise NotFound(f"{what} {named[:80]!r} {why}".strip(), step="rules explain", remedy=remedy)


def _called(named: str, ruleset: Ruleset) -> Iterator[Rule | Written]:
    yield from (rule for rule in ruleset.loaded if named in (rule.id, rule.card.slug, rule.file.stem, rule.title))


def _of_file(
    inquiry: _Plain | History, path: Path, number: int, source: str, context: Context
) -> Explanation | Correlated:
    subject: Event | None = None
    for record in _records(path, source, inquiry.zone):
        if record.number == number:
            if record.problem or not record.events:
                raise ParseError(record.problem or "no event", step="rules explain", record=f"{path}:{number}")
            subject = record.events[0]
            complete(subject, context)
            if isinstance(inquiry, _Plain):
                break
        if isinstance(inquiry, History):
            for event in record.events:
                if event is subject or is_complete(event, context):
                    inquiry.see(event)
    if subject is None:
        raise NotFound(f"{path} has no record {number}", step="rules explain")
    return inquiry.explain(subject)


def _records(path: Path, source: str, zone: tzinfo) -> Iterator[ReadRecord]:
    name = "stdin" if path == opening.STDIN else str(path)
    try:
        with opening.opened(path) as opened:
            chosen, why = (source, "") if source else reader().recognise(opened.head)
            if chosen not in reader().SOURCES:
                raise typer.BadParameter(f"{name}: {why or source}", param_hint="--source")
            yield from reader().read(opened.stream, chosen, name=name, zone=zone, charset="utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror}", param_hint="EVENT") from None


def _of_store(rule: Rule | Written, ruleset: Ruleset, event_id: str, tenant: str) -> Explanation | Correlated:
    with opened_lab(settings.load()) as lab:
        found = lab.archive.get(tenant, [event_id])
        if not found:
            raise NotFound(f"no event {event_id[:80]!r} of {tenant[:80]!r}", step="rules explain")
        inquiry = _inquiry(rule, ruleset, lab.archive.tenants.zone(tenant))
        if isinstance(inquiry, History):
            at = parse_time(found[0].doc["@timestamp"])
            span = Span(at - inquiry.reach, at + timedelta(milliseconds=1))
            for event in lab.archive.read(lab.archive.part(tenant, span, inquiry.concerns)):
                inquiry.see(event)
    return inquiry.explain(found[0])
