"""``wardwatch rules remove``."""

from __future__ import annotations

from typing import Annotated

import typer

from detections.cli.controls import DryRun, Tenant, Wait, opened
from detections.control.layers import ids
from detections.control.rows import Row
from wardwatch.errors import NotFound
from wardwatch.tables import RowId


def remove(
    name: Annotated[str, typer.Argument(metavar="ID", help="The rule's id, or the name of the file that was put.")],
    tenant: Tenant = "",
    dry_run: DryRun = False,
    wait: Wait = True,
) -> None:
    """Take back what was put or switched off; a shipped rule that it replaced is in force again.

    A row is removed whole: all the rules of the file that was put.

    \b
    wardwatch rules remove ssh.yml
    wardwatch rules remove 7f1e5b1c-8d7e-4c6a-9f0e-2b6b1d0a9c11 --tenant renai
    """
    with opened() as controls:
        found = [row for row, value in controls.state.rows.items() if row[1] == tenant and _is(name, row, value)]
        found += [row for row in controls.state.refused if row[1] == tenant and row[2] == name and row not in found]
        if not found:
            remedy = "wardwatch rules list shows where rules come from; a shipped one is switched off by rules disable"
            raise NotFound(f"no row has the rule {name[:80]!r}", step="rules remove", remedy=remedy)
        controls.change(dict.fromkeys(found), wait=wait, dry_run=dry_run)


def _is(name: str, row: RowId, value: Row) -> bool:
    return row[0] in ("rules", "filters", "pipelines") and (row[2] == name or name in ids(row, value))
