"""``wardwatch rules suppress``, ``unsuppress`` and ``suppressions``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from detections.cli.controls import By, Expires, Reason, Tenant, Wait, in_force, moment, opened
from detections.cli.loaded import safe
from detections.control.rows import SuppressionRow
from wardwatch.errors import NotFound, SettingsError
from wardwatch.event import rfc3339
from wardwatch.tables import RowId

Where = Annotated[
    list[str] | None, typer.Option("--where", metavar="FIELD=VALUE", help="A value the alert's event must have.")
]


def suppress(
    by: By,
    reason: Reason,
    rule_id: Annotated[str, typer.Option("--rule", metavar="ID", help="Only alerts of this rule.")] = "",
    where: Where = None,
    tenant: Tenant = "",
    expires: Expires = "7d",
    wait: Wait = True,
) -> None:
    """Make new alerts as suppressed for a while: they stay visible, with who, why and until when.

    \b
    wardwatch rules suppress --rule ID --where source.ip=10.3.1.9 --tenant renai --reason "planned scan"
    wardwatch rules suppress --where host.name=icu-lab --reason exercise --expires 12h
    """
    row = {"by": by, "reason": reason, "expires": moment(expires), "rule": rule_id, "where": _conditions(where or [])}
    key = f"s-{datetime.now(UTC):%Y%m%d}-{uuid4().hex[:6]}"
    with opened() as controls:
        controls.change({("suppressions", tenant, key): row}, wait=wait)


def unsuppress(
    key: Annotated[str, typer.Argument(metavar="ID", help="The suppression's id.")],
    tenant: Tenant = "",
    wait: Wait = True,
) -> None:
    """End a suppression before it expires; alerts that it has suppressed stay so.

    \b
    wardwatch rules unsuppress s-20260301-3fa9c1 --tenant renai
    """
    with opened() as controls:
        row = ("suppressions", tenant, key)
        if row not in controls.rows:
            raise NotFound(f"no suppression {key[:80]!r}", step="rules", remedy="wardwatch rules suppressions")
        controls.change({row: None}, wait=wait)


def list_suppressions() -> None:
    """List the suppressions with scope, reason, who and until when.

    \b
    wardwatch rules suppressions
    """
    table = Table("id", "hospital", "scope", "reason", "by", "until", box=None)
    for row, value in in_force().rows.items():
        if isinstance(value, SuppressionRow):
            table.add_row(*map(safe, _shown(row, value)))
    Console().print(table)


def _shown(row: RowId, value: SuppressionRow) -> tuple[str, ...]:
    scope = [value.rule] if value.rule else []
    scope += [f"{name}={text}" for name, text in value.where.items()]
    until = rfc3339(value.expires) + (" (expired)" if value.expires <= datetime.now(UTC) else "")
    return row[2], row[1] or "every", ", ".join(scope), value.reason, value.by, until


def _conditions(where: list[str]) -> dict[str, str]:
    conditions: dict[str, str] = {}
    for each in where:
        name, equals, value = each.partition("=")
        if not (name and equals and value) or name in conditions:
            raise SettingsError(f"--where {each[:80]!r}", step="rules", remedy="FIELD=VALUE, each field once")
        conditions[name] = value
    return conditions
