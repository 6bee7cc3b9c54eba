"""What happened that somebody is to be told of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b

from wardwatch.alert import Severity


class Kind(StrEnum):
    """The kinds of notices, as rows of ``routes`` name them."""

    NEW = "new"
    SILENT = "silent"
    RECOVERED = "recovered"
    SOON = "soon"
    BREACHED = "breached"
    ASSIGNED = "assigned"
    ESCALATED = "escalated"
    REQUEST = "request"
    RULE_FAULT = "rule_fault"
    DATA_FAULT = "data_fault"
    TRIAL = "trial"


NAMED = frozenset({Kind.ASSIGNED, Kind.RULE_FAULT, Kind.DATA_FAULT, Kind.TRIAL})
"""Kinds that a route gets only when it names them; a trial goes to the channel that is tried alone."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell; ``key`` makes it one of its kind: the same thing found twice has the same key.

    ``due_at`` is the deadline of ``soon`` and ``breached`` (RFC 3339), ``person`` the assignee, ``actor`` who did it.
    """

    kind: Kind
    tenant: str
    key: str
    severity: Severity
    alert: str = ""
    case: str = ""
    due_at: str = ""
    person: str = ""
    actor: str = ""

    def delivery(self, *where: str) -> str:
        """Return the id of its delivery to a place: the same always, so that it is delivered once."""
        return blake2b("\0".join((self.kind, self.tenant, self.key, *where)).encode(), digest_size=16).hexdigest()
