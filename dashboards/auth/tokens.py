"""API tokens: ``ww_`` and 256 random bits, shown once, kept as SHA-256.

A token acts for its account with no more than its own hospitals and rights, and no more than the account has at the
moment. Without any right it reads.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from dashboards.auth.people import Right
from dashboards.auth.sessions import hash_token
from wardwatch.errors import Conflict, NotFound
from wardwatch.event import Document, parse_time, rfc3339
from wardwatch.store import Find, Store, Version

PREFIX = "ww_"
_USED_EVERY = timedelta(minutes=1)
_WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Token:
    """One token: ``id`` is its hash; ``tenants`` None are the account's; times are RFC 3339, "" for never."""

    id: str
    user: str
    label: str
    rights: frozenset[Right]
    tenants: frozenset[str] | None
    at: str
    expires: str
    used: str = ""
    revoked: bool = False

    @property
    def valid(self) -> bool:
        """Whether it is neither revoked nor expired."""
        return not self.revoked and parse_time(self.expires) > datetime.now(UTC)

    def document(self) -> Document:
        """Return the token as the store keeps it."""
        return {
            "id": self.id,
            "user": self.user,
            "label": self.label,
            "rights": sorted(self.rights),
            "tenants": None if self.tenants is None else sorted(self.tenants),
            "at": self.at,
            "expires": self.expires,
            "used": self.used,
            "revoked": self.revoked,
        }


def token_of(doc: Document) -> Token:
    """Return the token of a stored document."""
    tenants = doc["tenants"]
    rights = frozenset(map(Right, doc["rights"]))
    return Token(**{**doc, "rights": rights, "tenants": None if tenants is None else frozenset(tenants)})


class Tokens:
    """The tokens in a store."""

    def __init__(self, store: Store) -> None:
        self._tokens = store.documents("tokens")

    def add(
        self, user: str, label: str, rights: frozenset[Right], tenants: frozenset[str] | None, days: int
    ) -> tuple[str, Token]:
        """Store a new token and return it with its text, which nobody can read again."""
        text, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        expires = rfc3339(now + timedelta(days=days))
        token = Token(hash_token(text), user, label, rights, tenants, rfc3339(now), expires)
        self._tokens.create(token.id, token.document())
        return text, token

    def find(self, text: str) -> Token | None:
        """Return the token of this text, valid or not, or None."""
        try:
            return token_of(self._tokens.get(hash_token(text)).doc)
        except NotFound:
            return None

    def of(self, user: str) -> list[Token]:
        """Return a person's tokens, newest first; at most 100."""
        return [token_of(item.doc) for item in self._tokens.find(Find(fields={"user": user})).items]

    def revoke(self, user: str, identifier: str) -> Token:
        """Refuse a token of a person from now on; raises NotFound for anybody else's, Conflict."""
        token, version = self._read(identifier)
        if token.user != user:
            raise NotFound("no such token", step="tokens")
        revoked = replace(token, revoked=True)
        self._tokens.replace(identifier, revoked.document(), version=version)
        return revoked

    def used(self, token: Token) -> None:
        """Note that a token was used, to the minute."""
        now = datetime.now(UTC)
        if token.used and now - parse_time(token.used) < _USED_EVERY:
            return
        fresh, version = self._read(token.id)
        with suppress(Conflict):  # somebody revoked it or noted it meanwhile
            self._tokens.replace(token.id, replace(fresh, used=rfc3339(now)).document(), version=version)

    def _read(self, identifier: str) -> tuple[Token, Version]:
        stored = self._tokens.get(identifier)
        return token_of(stored.doc), stored.version


@dataclass(frozen=True, slots=True)
class Turn:
    """What a request of a token is answered: ``wait_s`` 0 is now; of ``most`` in a window ``left`` remain.

    ``reset_s`` is when all remain again. All times are in seconds.
    """

    wait_s: float
    most: int
    left: int
    reset_s: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers of draft-ietf-httpapi-ratelimit-headers-10."""
        return {
            "RateLimit-Policy": f'"token";q={self.most};w={int(_WINDOW_S)}',
            "RateLimit": f'"token";r={self.left};t={math.ceil(self.reset_s)}',
        }


class Rate:
    """At most ``per_minute`` requests of each token in a minute, counted in this process."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = per_minute
        self._clock = clock
        self._lock = threading.Lock()
        self._windows: dict[str, tuple[float, int]] = {}

    def take(self, token: str) -> Turn:
        """Count one request, or say how long to wait."""
        now = self._clock()
        with self._lock:
            self._windows = {one: window for one, window in self._windows.items() if now - window[0] < _WINDOW_S}
            start, count = self._windows.get(token, (now, 0))
            reset_s = start + _WINDOW_S - now
            if count >= self._most:
                return Turn(reset_s, self._most, 0, reset_s)
            self._windows[token] = (start, count + 1)
            return Turn(0.0, self._most, self._most - count - 1, reset_s)
