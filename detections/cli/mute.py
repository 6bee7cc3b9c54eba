"""``wardwatch rules mute`` and ``unmute``."""

from __future__ import annotations

from typing import Annotated

import typer

from detections.cli.controls import By, Expires, Reason, Tenant, Wait, moment, opened
from wardwatch.errors import NotFound

RuleId = Annotated[str, typer.Argument(metavar="ID", help="The rule's id.")]


def mute(
    rule_id: RuleId, by: By, reason: Reason, tenant: Tenant = "", expires: Expires = "7d", wait: Wait = True
) -> None:
    """Drop a rule's matches at a hospital for a while: they make no alert, and a metric counts them.

    Where the alerts shall stay visible, use rules suppress.

    \b
    wardwatch rules mute ID --tenant renai --reason "vendor test" --expires 12h
    """
    with opened() as controls:
        if rule_id not in {rule.id for rule in controls.state.ruleset.rules}:
            raise NotFound(f"no rule {rule_id[:80]!r}", step="rules mute", remedy="wardwatch rules list")
        row = {"by": by, "reason": reason, "expires": moment(expires)}
        controls.change({("mutes", tenant, rule_id): row}, wait=wait)


def unmute(rule_id: RuleId, tenant: Tenant = "", wait: Wait = True) -> None:
    """Let a muted rule speak again before its mute expires.

    \b
    wardwatch rules unmute ID --tenant renai
    """
    with opened() as controls:
        row = ("mutes", tenant, rule_id)
        if row not in controls.rows:
            raise NotFound(f"{rule_id[:80]!r} is not muted there", step="rules unmute", remedy="wardwatch rules list")
        controls.change({row: None}, wait=wait)
