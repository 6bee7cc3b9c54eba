"""Sessions: a random token in the browser's cookie, its SHA-256 in the store."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from wardwatch.errors import NotFound
from wardwatch.event import parse_time, rfc3339
from wardwatch.store import Find, Store


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in browser: ``id`` is the token's hash, ``csrf`` the value that its forms must send back."""

    id: str
    user: str
    csrf: str

    def check_csrf(self, sent: str) -> bool:
        """Tell whether a form sent this session's token."""
        return hmac.compare_digest(self.csrf.encode(), sent.encode())


def _hashed(token: str) -> str:
    return sha256(token.encode()).hexdigest()


class Sessions:
    """The sessions in a store, each valid for ``hours`` after sign-in."""

    def __init__(self, store: Store, hours: float) -> None:
        self._sessions = store.documents("sessions")
        self.lifetime = timedelta(hours=hours)

    def open(self, user: str) -> str:
        """Store a new session and return its token, for the cookie alone."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        identifier = _hashed(token)
        doc = {
            "id": identifier,
            "user": user,
            "csrf": secrets.token_urlsafe(32),
            "at": rfc3339(now),
            "expires": rfc3339(now + self.lifetime),
        }
        self._sessions.create(identifier, doc)
        return token

    def get(self, token: str) -> Session | None:
        """Return the session of a cookie, or None when there is none or it has expired."""
        identifier = _hashed(token)
        try:
            doc = self._sessions.get(identifier).doc
        except NotFound:
            return None
        if parse_time(doc["expires"]) <= datetime.now(UTC):
            self._sessions.delete(identifier)
            return None
        return Session(identifier, doc["user"], doc["csrf"])

    def close(self, token: str) -> None:
        """Revoke the session of a cookie."""
        self._sessions.delete(_hashed(token))

    def close_all(self, user: str) -> None:
        """Revoke every session of a person."""
        find = Find(fields={"user": user})
        while items := self._sessions.find(find).items:
            for item in items:
                self._sessions.delete(item.doc["id"])
