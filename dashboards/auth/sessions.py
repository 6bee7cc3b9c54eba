"""Sessions: a random token in the browser's cookie, its SHA-256 in the store."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Literal

from wardwatch.errors import NotFound
from wardwatch.event import Document, parse_time, rfc3339
from wardwatch.store import Find, Store

Stage = Literal["", "code", "enrol"]
"""What is still missing: nothing, the second factor's code, or the second factor itself."""

_UNFINISHED = timedelta(minutes=10)
_AGENT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that signed in: ``id`` is the token's hash, ``csrf`` the value that its forms must send back.

    ``address`` and ``agent`` are what the browser said at sign-in.
    """

    id: str
    user: str
    csrf: str
    stage: Stage = ""
    at: str = ""
    address: str = ""
    agent: str = ""

    def check_csrf(self, sent: str) -> bool:
        """Tell whether a form sent this session's token."""
        return hmac.compare_digest(self.csrf.encode(), sent.encode())


def hash_token(token: str) -> str:
    """Return what the store keeps of a token."""
    return sha256(token.encode()).hexdigest()


class Sessions:
    """The sessions in a store, each valid for ``hours`` after sign-in, an unfinished sign-in for ten minutes."""

    def __init__(self, store: Store, hours: float) -> None:
        self._sessions = store.documents("sessions")
        self.lifetime = timedelta(hours=hours)

    def open(self, user: str, *, stage: Stage = "", address: str = "", agent: str = "") -> str:
        """Store a new session and return its token, for the cookie alone."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        doc = {
            "id": hash_token(token),
            "user": user,
            "csrf": secrets.token_urlsafe(32),
            "stage": stage,
            "address": address,
            "agent": agent[:_AGENT_CHARACTERS],
            "at": rfc3339(now),
            "expires": rfc3339(now + (_UNFINISHED if stage else self.lifetime)),
        }
        self._sessions.create(doc["id"], doc)
        return token

    def get(self, token: str) -> Session | None:
        """Return the session of a cookie, or None when there is none or it has expired."""
        identifier = hash_token(token)
        try:
            doc = self._sessions.get(identifier).doc
        except NotFound:
            return None
        if _expired(doc):
            self._sessions.delete(identifier)
            return None
        return _session(doc)

    def of(self, user: str) -> list[Session]:
        """Return a person's sessions that are valid, newest first; at most 100."""
        found = self._sessions.find(Find(fields={"user": user})).items
        return [_session(item.doc) for item in found if not _expired(item.doc) and not item.doc.get("stage")]

    def close(self, token: str) -> None:
        """Revoke the session of a cookie."""
        self._sessions.delete(hash_token(token))

    def revoke(self, user: str, identifier: str) -> None:
        """Revoke one session of a person; raises NotFound for anybody else's."""
        if self._sessions.get(identifier).doc["user"] != user:
            raise NotFound("no such session", step="sessions")
        self._sessions.delete(identifier)

    def close_all(self, user: str, but: str = "") -> None:
        """Revoke every session of a person ``but`` one."""
        find = Find(fields={"user": user})
        while items := [item for item in self._sessions.find(find).items if item.doc["id"] != but]:
            for item in items:
                self._sessions.delete(item.doc["id"])


def _expired(doc: Document) -> bool:
    return parse_time(doc["expires"]) <= datetime.now(UTC)


def _session(doc: Document) -> Session:
    names = ("id", "user", "csrf", "stage", "at", "address", "agent")
    return Session(**{name: doc.get(name, "") for name in names})
