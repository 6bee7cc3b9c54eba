"""``wardwatch rules tune``."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from detections import fired, tuning
from detections.cli.loaded import choose, safe
from detections.cli.opened import Opened, opened
from detections.cli.span import TenantNames
from detections.correlation.written import Written
from detections.sigma import Rule
from detections.tuning import Example
from wardwatch import settings
from wardwatch.alert import Verdict
from wardwatch.errors import RuleError
from wardwatch.text import safe_text

_FALSE = frozenset({Verdict.FALSE_POSITIVE_LOGIC})
_TRUE = frozenset({Verdict.TRUE_POSITIVE, Verdict.BENIGN_POSITIVE, Verdict.EXERCISE})


def tune(
    rule: Annotated[str, typer.Argument(metavar="RULE", help="A file with one rule, or an id or name in force.")],
    days: Annotated[int, typer.Option(min=1, max=3650, help="Alerts created in so many days.")] = 180,
    tenant: TenantNames = None,
    unproven: Annotated[
        bool,
        typer.Option("--unproven", help="Propose even where no alert closed as right can prove it."),
    ] = False,
    write: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the filter here.")] = None,
) -> None:
    """Propose a filter on a rule from its alerts that were closed as faults of its logic; exit 1 if there is none.

    Values are looked for that at least two such alerts share and no event of an alert closed as true positive, benign
    or exercise holds. The rule with the filter is then run over the events of both; nothing is written without --write.

    [bold]Examples[/bold]

    wardwatch rules tune windows_shadow_copy_deletion

    wardwatch rules tune linux_ssh_root_login --tenant renai --write my-rules/known-noise.yml
    """
    chosen = _chosen(rule)
    with opened(settings.load()) as lab, Console(stderr=True).status("reading alerts and their events"):
        false, gone = _examples(lab, chosen, days, tenant, _FALSE)
        true, gone_too = _examples(lab, chosen, days, tenant, _TRUE)
        if not true and not unproven:
            _give_up("no alert with events was closed as right, so nothing can prove a filter safe (--unproven)")
        text = _proposed(lab, chosen, false, true)
        if gone + gone_too:
            typer.echo(f"{gone + gone_too} alerts left out: none of their events is archived and met by the rule still")
    if write:
        write.write_text(text, "utf-8")
        typer.echo(f"written to {write}")


def _chosen(named: str) -> Rule:
    found = choose([named]).rules
    if len(found) != 1:
        raise RuleError(f"{len(found)} rules: name one", step="rules tune", record=named)
    if isinstance(found[0], Written):
        below = ", ".join(source.title for source in found[0].correlation.sources)
        raise RuleError(f"a correlation takes no filter: tune what it refers to ({below})", step="rules tune")
    return found[0]


def _examples(
    lab: Opened, rule: Rule, days: int, tenant: list[str] | None, verdicts: frozenset[Verdict]
) -> tuple[list[Example], int]:
    start = datetime.now(UTC) - timedelta(days=days)
    named = frozenset({rule.card.slug})
    found = list(fired.since(lab.store.alerts, frozenset(tenant or ()), start, rules=named, verdicts=verdicts))
    examples = [Example(each.id, lab.archive.get(each.tenant, _event_ids(each))) for each in found]
    met = tuning.firing(tuning.tuned(rule), examples, lab.archive.tenants)
    return met, len(found) - len(met)


def _event_ids(alert: fired.Fired) -> list[str]:
    return [each["id"] for each in alert.doc["wardwatch"]["alert"].get("source_events", ())]


def _proposed(lab: Opened, rule: Rule, false: list[Example], true: list[Example]) -> str:
    tenants = lab.archive.tenants
    if len(false) < tuning.LEAST:
        _give_up(f"{len(false)} alerts closed as false_positive_logic have events to learn from: too few")
    terms = tuning.propose(false, true, tenants)
    if not terms:
        _give_up(f"no value is common to false positives ({len(false)}) and absent from true ones ({len(true)})")
    text = tuning.filter_text(rule, terms)
    ruleset = tuning.tuned(rule, text)
    if ruleset.rejected:
        _give_up(f"the filter can't be loaded: {ruleset.rejected[0].reason}")
    left_false, left_true = tuning.firing(ruleset, false, tenants), tuning.firing(ruleset, true, tenants)
    if len(left_true) < len(true) or len(left_false) == len(false):
        _give_up("the filter that was found would silence true positives or nothing")
    typer.echo(safe_text(text))
    _print_proof((false, left_false), (true, left_true))
    return text


def _give_up(reason: str) -> NoReturn:
    typer.echo(f"no proposal: {reason}", err=True)
    raise typer.Exit(1)


def _print_proof(false: tuple[list[Example], list[Example]], true: tuple[list[Example], list[Example]]) -> None:
    table = Table("alerts", "fire today", "fire with the filter", box=None)
    for name, (before, after) in (("false positives", false), ("true positives, benign, exercises", true)):
        table.add_row(safe(name), str(len(before)), str(len(after)))
    console = Console()
    console.print(table)
    if not true[0]:
        console.print("[yellow]no alert was closed as right: nothing proves that the filter is safe[/yellow]")
