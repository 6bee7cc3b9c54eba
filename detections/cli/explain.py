"""``wardwatch rules explain``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detections import opening
from detections.archive import event_of
from detections.cli.loaded import load
from detections.explaining import explain as explained
from detections.explanation_text import LANGUAGES, Teller
from detections.scanning import Hospital, complete
from detections.sigma import Rule, Ruleset
from enrich.context import Context
from wardwatch import settings
from wardwatch.cli import options
from wardwatch.errors import NotFound, ParseError
from wardwatch.event import Event
from wardwatch.sources import reader
from wardwatch.store import Scope, open_store
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
    zone: Annotated[str, typer.Option(help="The hospital's time zone.")] = "Asia/Shanghai",
) -> None:
    """Say why a rule matches an event, or exactly which part of its condition failed. Exit 0 matches, 1 does not.

    \b
    Examples:
      wardwatch rules explain my-rules/ssh.yml event.json
      wardwatch rules explain mysql_tongfang server_audit.log --record 812 --lang both
      wardwatch rules explain 8eca5b3b-b7ae-46dd-b1a1-1162c1a76359 --tenant renai --event-id 5d1c…
    """
    found = _rule(rule, rules)
    if bool(event) == bool(event_id):
        raise typer.BadParameter("name a file with the event, or one of the store by --event-id", param_hint="EVENT")
    subject = _of_store(event_id, tenant) if event_id else _of_file(Path(event), record, source, zone)
    complete(subject, Context(Hospital(zone)))
    explanation = explained(found, subject, options.time_zone(zone))
    typer.echo(f"{safe_text(found.title)} ({found.id}, {safe_text(str(found.file))}:{found.line})")
    for language in _languages(lang):
        teller = Teller.of(language)
        typer.echo(f"\n{teller.answer(explanation)}")
        typer.echo("\n".join(teller.tree(explanation)))
    raise typer.Exit(0 if explanation.matches else 1)


def _languages(lang: Language | None) -> list[str]:
    if lang is Language.BOTH:
        return list(LANGUAGES)
    local = next((os.environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if os.environ.get(name)), "")
    return [lang.value if lang else "zh" if local.startswith("zh") else "en"]


def _rule(named: str, paths: list[Path] | None) -> Rule:
    is_file = Path(named).is_file()
    ruleset = Ruleset.load([Path(named)]) if is_file else load(paths)
    found = list(ruleset.rules) if is_file else list(_called(named, ruleset))
    if len(found) == 1:
        return found[0]
    why = "; ".join(str(each) for each in ruleset.rejected) if is_file else ""
    what = f"{len(found)} rules are" if found else "no rule is"
    raise NotFound(f"{what} {named[:80]!r} {why}".strip(), step="rules explain", remedy="wardwatch rules list --json")


def _called(named: str, ruleset: Ruleset) -> Iterator[Rule]:
    yield from (rule for rule in ruleset.rules if named in (rule.id, rule.card.slug, rule.file.stem, rule.title))


def _of_file(path: Path, number: int, source: str, zone: str) -> Event:
    name = "stdin" if path == opening.STDIN else str(path)
    try:
        with opening.opened(path) as opened:
            chosen, why = (source, "") if source else reader().recognise(opened.head)
            if chosen not in reader().SOURCES:
                raise typer.BadParameter(f"{name}: {why or source}", param_hint="--source")
            where = options.time_zone(zone)
            for record in reader().read(opened.stream, chosen, name=name, zone=where, charset="utf-8"):
                if record.number == number:
                    if record.problem or not record.events:
                        raise ParseError(record.problem or "no event", step="rules explain", record=f"{name}:{number}")
                    return record.events[0]
    except OSError as error:
        raise typer.BadParameter(f"{name}: {error.strerror}", param_hint="EVENT") from None
    raise NotFound(f"{name} has no record {number}", step="rules explain")


def _of_store(event_id: str, tenant: str) -> Event:
    store = open_store(settings.load().store_url)
    try:
        docs = store.events.get(Scope("rules explain", frozenset({tenant})), tenant, [event_id])
    finally:
        store.close()
    if not docs:
        raise NotFound(f"no event {event_id[:80]!r} of {tenant[:80]!r}", step="rules explain")
    return event_of(tenant, docs[0])
