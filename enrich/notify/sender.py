"""The sender: takes what waits and is due, makes messages of it and marks what became of each.

Per channel and address: a digest where more waits than ``digest_above`` or than the channel's rate has room for; a
message that was not taken is tried again after 10 s, 20 s, 40 s … up to 15 minutes, TRIES times in all, some six hours.
"""

from __future__ import annotations

import random
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final

import prometheus_client
import structlog

from enrich.notify import channels
from enrich.notify.channels import Channel
from enrich.notify.deliveries import Deliveries, Delivery
from enrich.notify.kinds import Post
from enrich.notify.message import Told, compose
from enrich.notify.notice import Kind
from enrich.notify.routes import Routes
from wardwatch.alert import OPEN, Status
from wardwatch.errors import Conflict, PeerRefused, PeerUnavailable, SettingsError
from wardwatch.event import parse_time, rfc3339
from wardwatch.outbound import Outbound
from wardwatch.service_levels import zone_of
from wardwatch.store import Scope, Store, Version
from wardwatch.tables import Tables

log = structlog.get_logger()

TRIES: Final = 30
_FIRST_S, _LONGEST_S = 10.0, 900.0
_THREADS = 8
_AT_ONCE = 16
"""Messages of one round, so that a round ends soon."""
_SCOPE = Scope("notifier")
_MINUTE = timedelta(minutes=1)
_LATELY = timedelta(minutes=20)  # longer than between two tries
_OUTCOMES = prometheus_client.Counter(
    "wardwatch_notifications", "Notifications by what became of them", ["channel", "outcome"]
)
"""``outcome``: sent, retried, failed, cancelled."""

_Item = tuple[Delivery, Version]


@dataclass(frozen=True, slots=True)
class _Batch:
    """What goes as one message over one channel to one address."""

    channel: Channel
    items: Sequence[_Item]
    post: Post


class Sender:
    """Sends over the channels of the tables; ``now`` is the wall clock."""

    def __init__(
        self,
        store: Store,
        tables: Tables,
        deliveries: Deliveries,
        routes: Routes,
        outbound: Outbound,
        now: Callable[[], datetime],
    ) -> None:
        self._store, self._tables, self._deliveries, self._routes = store, tables, deliveries, routes
        self._outbound, self._now = outbound, now
        self._sent: dict[tuple[str, Channel], deque[datetime]] = {}
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="notify")
        self._failing: dict[str, tuple[datetime, str]] = {}

    def __call__(self) -> None:
        """Send what is due; raises Unavailable of the store, and the next call goes on."""
        now = self._now()
        due = [item for item in self._deliveries.waiting() if parse_time(item[0].not_before) <= now]
        batches = self._batches(self._still_true(due), now)
        for batch, error in zip(batches, self._pool.map(self._send, batches), strict=True):
            self._mark(batch, error)

    def failing(self) -> dict[str, str]:
        """Return the channels whose last message was not taken, lately, and why."""
        since = self._now() - _LATELY
        return {name: reason for name, (at, reason) in sorted(self._failing.items()) if at > since}

    def close(self) -> None:
        """End after what is under way."""
        self._pool.shutdown(wait=True)

    def _still_true(self, items: Sequence[_Item]) -> list[tuple[_Item, Mapping[str, Any]]]:
        """Return what still holds with its alert; the rest is cancelled."""
        stored = self._store.alerts.get(_SCOPE, {delivery.alert for delivery, _ in items if delivery.alert})
        kept: list[tuple[_Item, Mapping[str, Any]]] = []
        for item in reversed(items):  # the oldest first
            delivery = item[0]
            doc = stored[delivery.alert].doc if delivery.alert in stored else {}
            if delivery.alert and not (doc and _holds(delivery, doc["wardwatch"]["alert"])):
                self._end(item, "cancelled")
            else:
                kept.append((item, doc))
        return kept

    def _batches(self, items: Sequence[tuple[_Item, Mapping[str, Any]]], now: datetime) -> list[_Batch]:
        groups: dict[tuple[str, Channel, str], list[tuple[_Item, Told]]] = defaultdict(list)
        for item, doc in items:
            try:
                channel, address = self._place(item[0])
            except SettingsError as error:
                self._end(item, "failed", error.reason)
                continue
            groups[item[0].channel, channel, address].append((item, self._told(item[0], doc)))
        found: list[_Batch] = []
        for (name, channel, address), group in groups.items():
            found += self._fit(name, channel, address, group, now, _AT_ONCE - len(found))
        return found

    def _fit(
        self, name: str, channel: Channel, address: str, group: Sequence[tuple[_Item, Told]], now: datetime, most: int
    ) -> list[_Batch]:
        """Return at most so many messages that the channel's rate has room for, as a digest where they are many."""
        room = self._room(name, channel, now)
        if room <= 0 or most <= 0:
            return []
        many = len(group) > min(channel.digest_above, room)
        parts = [group] if many and channels.digests(channel) else [[one] for one in group[: min(room, most)]]
        sent = self._sent[name, channel]
        batches = []
        for part in parts:
            told = [each for _, each in part]
            post = Post(_batch_id(told), now, compose(told, channel.lang), told, address)
            batches.append(_Batch(channel, [item for item, _ in part], post))
            sent.append(now)
        return batches

    def _room(self, name: str, channel: Channel, now: datetime) -> int:
        limit = channels.per_minute(channel)
        if (name, channel) not in self._sent:  # the process is new: what the one before has sent counts
            messages = {one.digest: one.sent_at for one in self._deliveries.last_sent(name, limit)}
            self._sent[name, channel] = deque(sorted(parse_time(at) for at in messages.values()))
        sent = self._sent[name, channel]
        while sent and now - sent[0] >= _MINUTE:
            sent.popleft()
        return limit - len(sent)

    def _place(self, delivery: Delivery) -> tuple[Channel, str]:
        """Return the channel and the person's address on it; raises SettingsError."""
        contact = self._routes.contact(delivery.tenant, delivery.person) if delivery.person else None
        if delivery.person and contact is None:
            raise SettingsError(f"{delivery.person} has no row in contacts", step="notify")
        row = self._tables.get(channels.TABLE, delivery.tenant, delivery.channel)
        if row is None:
            raise SettingsError(f"there is no channel {delivery.channel!r}", step="notify")
        channel = channels.parse(row)
        if not channel.enabled:
            raise SettingsError("the channel is not enabled", step="notify")
        return channel, contact.address if contact else ""

    def _told(self, delivery: Delivery, doc: Mapping[str, Any]) -> Told:
        row = self._tables.get("tenants", "", delivery.tenant)
        name = (row or {}).get("name")
        return Told(
            id=delivery.id,
            kind=delivery.kind,
            tenant=delivery.tenant,
            hospital={lang: str(text) for lang, text in name.items()} if isinstance(name, dict) else {},
            zone=zone_of(row),
            alert=doc,
            case=delivery.case,
            due_at=delivery.due_at,
            person=delivery.person,
            actor=delivery.actor,
        )

    def _send(self, batch: _Batch) -> PeerRefused | PeerUnavailable | None:
        try:
            channels.send(batch.channel, batch.post, self._outbound)
        except (PeerRefused, PeerUnavailable) as error:
            return error
        except Exception as error:  # one channel must not stop the others: it is logged, told and tried again
            log.exception("notification_crashed", kind=batch.channel.kind)
            return PeerUnavailable(type(error).__name__, step="notify")
        return None

    def _mark(self, batch: _Batch, error: PeerRefused | PeerUnavailable | None) -> None:
        name = batch.items[0][0].channel
        if error is None:
            self._failing.pop(name, None)
        else:
            self._failing[name] = self._now(), error.reason
        for item in batch.items:
            if error is None:
                self._end(item, "sent", digest=batch.post.id)
            elif isinstance(error, PeerRefused) or item[0].tries + 1 >= TRIES:
                self._end(item, "failed", error.reason)
            else:
                self._again(item, error.reason)

    def _again(self, item: _Item, reason: str) -> None:
        delivery, version = item
        wait_s = min(_FIRST_S * 2**delivery.tries, _LONGEST_S) * random.uniform(0.8, 1.2)  # noqa: S311 jitter
        moment = rfc3339(self._now() + timedelta(seconds=wait_s))
        self._update(delivery, version, "retried", tries=delivery.tries + 1, error=reason[:300], not_before=moment)

    def _end(self, item: _Item, state: str, reason: str = "", digest: str = "") -> None:
        delivery, version = item
        changes = {"state": state, "error": reason[:300], "digest": digest, "tries": delivery.tries + (state == "sent")}
        sent_at = rfc3339(self._now()) if state == "sent" else ""
        self._update(delivery, version, state, **changes, sent_at=sent_at)

    def _update(self, delivery: Delivery, version: Version, outcome: str, **changes: Any) -> None:
        if outcome in ("failed", "retried"):
            log.warning("notification_not_taken", outcome=outcome, id=delivery.id, reason=changes["error"])
        try:
            self._deliveries.update(delivery.model_copy(update=changes), version)
        except Conflict:  # another scheduler was faster
            return
        _OUTCOMES.labels(delivery.channel, outcome).inc()


def _holds(delivery: Delivery, own: Mapping[str, Any]) -> bool:
    """Tell whether what a delivery says of an alert is still so."""
    is_open = Status(own["status"]) in OPEN
    match delivery.kind:
        case Kind.NEW | Kind.SILENT:
            return is_open
        case Kind.SOON | Kind.BREACHED:
            return is_open and own.get("due_at") == delivery.due_at
        case Kind.ASSIGNED:
            return is_open and (not delivery.person or own.get("assignee") == delivery.person)
        case Kind.ESCALATED:
            return Status(own["status"]) is Status.ESCALATED
        case Kind.RULE_FAULT | Kind.DATA_FAULT:
            return not is_open
        case _:
            return True


def _batch_id(told: Sequence[Told]) -> str:
    """Return the id of a message: the delivery's, or one that the same deliveries always have."""
    if len(told) == 1:
        return told[0].id
    return blake2b(" ".join(sorted(each.id for each in told)).encode(), digest_size=16).hexdigest()
