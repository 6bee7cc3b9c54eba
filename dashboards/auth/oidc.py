"""Sign-in with an OpenID provider: authorization code flow (OpenID Connect Core 1.0, 3.1) with PKCE (RFC 7636).

What must be known again at the callback lies in the store, under the hash of a random cookie: any console process can
answer it, and only once.
"""

from __future__ import annotations

import secrets
import threading
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from dashboards.auth.people import People, Person, Role, is_name
from dashboards.auth.sessions import hash_token
from wardwatch.errors import Conflict, Forbidden, NotFound, Unavailable
from wardwatch.event import parse_time, rfc3339
from wardwatch.settings import OidcSettings
from wardwatch.store import Store
from wardwatch.topics import check_tenant

_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]
"""Signatures by a key that the provider alone has: neither ``none`` nor a shared secret."""
_TIMEOUT_S = 10.0
_KEPT_S = 600.0
_LIFETIME = timedelta(minutes=10)
_LEEWAY_S = 60
_EVERY_TENANT = "*"


@dataclass(frozen=True, slots=True)
class Departure:
    """Where to send the browser, and the cookie by which it is known when it comes back."""

    url: str
    cookie: str


class Provider:
    """One OpenID provider, its metadata and keys read when they are needed and kept for ten minutes."""

    def __init__(self, settings: OidcSettings, store: Store) -> None:
        self._settings = settings
        self._going = store.documents("sessions")
        self._people = People(store)
        self._lock = threading.Lock()
        self._metadata: dict[str, Any] = {}
        self._keys = KeySet([])
        self._read_at = float("-inf")

    @property
    def label(self) -> str:
        """The provider's name on the sign-in page."""
        return self._settings.label

    def depart(self, after: str) -> Departure:
        """Begin a sign-in that leads to the page ``after``; raises Unavailable."""
        metadata, _ = self._read()
        cookie, state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(4))
        now = datetime.now(UTC)
        doc = {
            "id": hash_token(cookie),
            "user": "",
            "at": rfc3339(now),
            "expires": rfc3339(now + _LIFETIME),
            "state": state,
            "nonce": nonce,
            "verifier": verifier,
            "next": after,
        }
        self._going.create(doc["id"], doc)
        asked = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.redirect_url,
            "scope": self._settings.scopes,
            "state": state,
            "nonce": nonce,
            "code_challenge": _challenge(verifier),
            "code_challenge_method": "S256",
        }
        joint = "&" if "?" in metadata["authorization_endpoint"] else "?"
        return Departure(f"{metadata['authorization_endpoint']}{joint}{urlencode(asked)}", cookie)

    def arrive(self, cookie: str, state: str, code: str) -> tuple[Person, str]:
        """Finish a sign-in: return the account, made or brought up to date, and the page to go to.

        Raises Forbidden naming what did not fit, Unavailable.
        """
        going = self._take(cookie)
        if not secrets.compare_digest(going["state"].encode(), state.encode()):
            raise _refused("the state is not the one that was sent")
        claims = self._claims(code, going["verifier"], going["nonce"])
        return self._account(claims), going["next"]

    def _take(self, cookie: str) -> dict[str, Any]:
        identifier = hash_token(cookie)
        try:
            doc = self._going.get(identifier).doc
        except NotFound:
            raise _refused("no sign-in was begun in this browser") from None
        self._going.delete(identifier)
        if "verifier" not in doc or parse_time(doc["expires"]) <= datetime.now(UTC):
            raise _refused("the sign-in took too long")
        return doc

    def _claims(self, code: str, verifier: str, nonce: str) -> dict[str, Any]:
        metadata, keys = self._read()
        asked = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.redirect_url,
            "client_id": self._settings.client_id,
            "code_verifier": verifier,
        }
        secret = self._settings.client_secret.get_secret_value()
        basic = httpx.BasicAuth(self._settings.client_id, secret) if secret else None
        try:
            answer = httpx.post(metadata["token_endpoint"], data=asked, auth=basic, timeout=_TIMEOUT_S)
            token = answer.json()["id_token"]
        except httpx.HTTPError as error:
            raise Unavailable(f"the OpenID provider does not answer: {error}", step="oidc") from None
        except (ValueError, KeyError, TypeError):
            raise _refused(f"the provider gave no ID token (status {answer.status_code})") from None
        try:
            claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
        except (JoseError, ValueError) as error:
            self._read_at = float("-inf")  # the provider may have new keys
            raise _refused(f"the ID token can't be trusted: {error}") from None
        self._check(claims, nonce)
        return claims

    def _check(self, claims: dict[str, Any], nonce: str) -> None:
        """Check the claims of an ID token (OpenID Connect Core 1.0, 3.1.3.7)."""
        client = self._settings.client_id
        registry = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self._settings.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": client},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise _refused(f"the ID token does not fit: {error}") from None
        audience = claims["aud"]
        if claims.get("azp", client) != client or (isinstance(audience, list) and audience != [client]):
            raise _refused("the ID token is for another client")

    def _account(self, claims: Mapping[str, Any]) -> Person:
        """Return the account of the claims; its roles and hospitals are those of the groups, at each sign-in."""
        subject = f"{self._settings.issuer} {claims['sub']}"
        name = str(claims.get(self._settings.name_claim, "")).lower()
        if not is_name(name):
            raise _refused(f"claim {self._settings.name_claim} is no user name")
        display = str(claims.get("name") or name)[:100]
        roles, tenants = self._entitled(claims)
        new = Person(name, display, "", roles, tenants, subject=subject)

        def update(known: Person) -> Person:
            if known.subject != subject:
                raise _refused("an account of this name exists already")
            return replace(known, display=display, roles=roles, tenants=tenants)

        try:
            self._people.add(new)
        except Conflict:
            new = self._people.change(name, update)
        if new.disabled:
            raise _refused("the account is disabled")
        return new

    def _entitled(self, claims: Mapping[str, Any]) -> tuple[frozenset[Role], frozenset[str] | None]:
        said = claims.get(self._settings.groups_claim, [])
        listed = [said] if isinstance(said, str) else said if isinstance(said, list) else []
        groups = {group for group in listed if isinstance(group, str)}
        roles = frozenset(Role(role) for group, role in self._settings.roles.items() if group in groups)
        tenants = {one for group, ones in self._settings.tenants.items() if group in groups for one in ones}
        if not roles or not tenants:
            raise _refused("none of the groups has a role and a hospital here")
        return roles, None if _EVERY_TENANT in tenants else frozenset(map(check_tenant, tenants))

    def _read(self) -> tuple[dict[str, Any], KeySet]:
        """Return metadata (OpenID Connect Discovery 1.0, 4) and keys; raises Unavailable."""
        with self._lock:
            if time.monotonic() - self._read_at < _KEPT_S:
                return self._metadata, self._keys
            issuer = self._settings.issuer
            try:
                metadata = _fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if metadata.get("issuer") != issuer:
                    raise Unavailable(f"the provider is {metadata.get('issuer')!r}, not {issuer!r}", step="oidc")
                keys = KeySet.import_key_set(_fetch(metadata["jwks_uri"]))  # type: ignore[arg-type]
                _ = metadata["authorization_endpoint"], metadata["token_endpoint"]
            except httpx.HTTPError as error:
                raise Unavailable(f"the OpenID provider does not answer: {error}", step="oidc") from None
            except (JoseError, ValueError, KeyError, TypeError) as error:
                raise Unavailable(f"the OpenID provider's metadata can't be read: {error!r}", step="oidc") from None
            self._metadata, self._keys, self._read_at = metadata, keys, time.monotonic()
            return metadata, keys


def _fetch(url: str) -> dict[str, Any]:
    answer = httpx.get(url, timeout=_TIMEOUT_S).raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("no JSON object")
    return found


def _challenge(verifier: str) -> str:
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def _refused(reason: str) -> Forbidden:
    return Forbidden(reason, step="oidc")
