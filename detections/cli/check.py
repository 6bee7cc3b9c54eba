"""``wardwatch rules check``."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from detections import linting, sigma_check
from detections.cli.loaded import Paths, load
from detections.correlation.written import Written
from detections.linting import Draft, Finding
from detections.sigma import Rule, Ruleset, documents
from wardwatch.text import safe_json, safe_text


class Format(StrEnum):
    """How findings are printed."""

    TEXT = "text"
    JSON = "json"


def check(
    paths: Paths = None,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail too.")] = False,
    output: Annotated[Format, typer.Option("--format", help="json is one object a line.")] = Format.TEXT,
) -> None:
    """Check rules: what can't be loaded, our lints, and what sigma-cli's `sigma check` finds, all offline.

    Exit code 1 when there is an error; with --strict also for a warning.

    \b
    wardwatch rules check my-rules/
    my-rules/ssh.yml:14: error: rejected: Unknown modifier 'containz'
    my-rules/vpn.yml:9: warning: single_all: 'user.name|all' has one value: leave |all out or list more
    wardwatch rules check --strict --format json my-rules/ | jq -r .name | sort | uniq -c
    """
    ruleset = load(paths)
    findings = sorted(_findings(ruleset), key=lambda each: (str(each.file), each.line, each.name))
    for each in findings:
        typer.echo(_line(each, output))
    errors = sum(each.severity == "error" for each in findings)
    if output is Format.TEXT:
        loaded = f"{len(ruleset.loaded)} loaded, {len(ruleset.rejected)} rejected"
        typer.echo(f"{loaded}; {errors} errors, {len(findings) - errors} warnings", err=True)
    raise typer.Exit(1 if errors or (strict and findings) else 0)


def _findings(ruleset: Ruleset) -> Iterator[Finding]:
    for each in ruleset.rejected:
        yield Finding(each.file, each.line, "error", "rejected", each.reason)
    drafts = [_draft(rule) for rule in ruleset.loaded]
    for draft in drafts:
        yield from linting.lint(draft)
    yield from sigma_check.check(drafts)


def _draft(rule: Rule | Written) -> Draft:
    (document,) = documents.split(rule.text, rule.file)
    return Draft(documents.YamlDocument(document.value, rule.line, document.text), rule)


def _line(finding: Finding, output: Format) -> str:
    if output is Format.TEXT:
        return safe_text(str(finding), limit=1000)
    row = {name: getattr(finding, name) for name in ("line", "severity", "name", "message")}
    return safe_json(msgspec.json.encode({"file": str(finding.file), **row}).decode())
