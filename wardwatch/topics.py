"""The topics of the bus: names, partitions and retention, in one place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from wardwatch.errors import SettingsError

TENANT = re.compile(r"[a-z0-9_]{1,40}")
PARTITIONS = 6
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: ``retention_s`` None keeps records for ever; ``compacted`` keeps the last record of each key."""

    name: str
    partitions: int = PARTITIONS
    retention_s: int | None = 7 * _DAY_S
    compacted: bool = False


MATCHES = Topic("matches")
ALERTS = Topic("alerts")
TABLES = Topic("tables", partitions=1, retention_s=None, compacted=True)
WORKERS = Topic("workers", partitions=1, retention_s=3600)
"""Which rows of ``tables`` each matcher and alerter has in force."""

UNKNOWN = "unknown"
"""Stands for the tenant in the dead letter of a record that names none; no hospital may have this slug."""

EVENTS_PREFIX = "events."
DEADLETTER_PREFIX = "deadletter."
HEARTBEATS_PREFIX = "heartbeats."


def check_tenant(tenant: str) -> str:
    """Return the tenant's slug; raises SettingsError unless it is 1–40 of ``a-z 0-9 _``."""
    if not TENANT.fullmatch(tenant):
        raise SettingsError(f"tenant {tenant[:60]!r} is not 1 to 40 of a-z, 0-9 and _", step="settings")
    return tenant


@lru_cache(maxsize=1024)
def events(tenant: str) -> Topic:
    """Return the topic of a tenant's scrubbed events."""
    return Topic(EVENTS_PREFIX + check_tenant(tenant))


def deadletter(tenant: str) -> Topic:
    """Return the topic of the tenant's records that a stage could not process."""
    return Topic(DEADLETTER_PREFIX + check_tenant(tenant), partitions=1, retention_s=30 * _DAY_S)


def heartbeats(tenant: str) -> Topic:
    """Return the topic on which the tenant's collectors say that they live and what they counted."""
    return Topic(HEARTBEATS_PREFIX + check_tenant(tenant), partitions=1, retention_s=_DAY_S)


def of_tenant(tenant: str) -> list[Topic]:
    """Return every topic of one tenant."""
    return [events(tenant), deadletter(tenant), heartbeats(tenant)]


def shared() -> list[Topic]:
    """Return every topic that all tenants share."""
    return [MATCHES, ALERTS, TABLES, WORKERS, deadletter(UNKNOWN)]


@lru_cache(maxsize=4096)
def tenant_of(topic: str) -> str:
    """Return the tenant of a per-tenant topic: this, never the content, says whose record it is."""
    return check_tenant(topic.partition(".")[2])
