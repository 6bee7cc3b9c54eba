"""``wardwatch rules disable``."""

from __future__ import annotations

from typing import Annotated

import typer

from detections.cli.controls import By, Tenant, Wait, opened
from detections.control.rows import RuleRow
from wardwatch.errors import NotFound


def disable(
    rule_id: Annotated[str, typer.Argument(metavar="ID", help="The rule's id.")],
    by: By,
    tenant: Tenant = "",
    wait: Wait = True,
) -> None:
    """Switch a shipped rule off, everywhere or at one hospital; rules remove switches it on again.

    \b
    wardwatch rules disable 7f1e5b1c-8d7e-4c6a-9f0e-2b6b1d0a9c11 --tenant renai
    """
    with opened() as controls:
        if rule_id not in {rule.id for rule in controls.state.ruleset.rules}:
            raise NotFound(f"no rule {rule_id[:80]!r}", step="rules disable", remedy="wardwatch rules list")
        row = RuleRow(enabled=False, by=by).model_dump()
        controls.change({("rules", tenant, rule_id): row}, wait=wait)
