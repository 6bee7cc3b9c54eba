"""Enrolment at the provider: tokens that work once, certificates for them, and what of those was taken back.

Rows of two tables say it: ``enrolments`` has the hash of each token that was not used yet, ``collectors`` each
certificate by its serial number. Rows are what every relay follows, so there is nothing else to keep.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from cryptography import x509

from ingest.relay.authority import Authority, pem, read_request
from ingest.relay.peers import Peer, Refused
from wardwatch.errors import SettingsError
from wardwatch.event import rfc3339
from wardwatch.tables import Tables

log = structlog.get_logger()

TOKENS = "enrolments"
COLLECTORS = "collectors"


def new_token(tables: Tables, tenant: str, authority: str, hours: float) -> str:
    """Write a token's row and return the token, with the authority's fingerprint behind it."""
    secret = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    row = {"created": rfc3339(now), "expires": rfc3339(now + timedelta(hours=hours)), "tenant": tenant}
    tables.put(TOKENS, "", _hash(secret), row)
    return f"{secret}.{authority}"


def revoke(tables: Tables, tenant: str, serial: str) -> list[str]:
    """Take back a certificate, or with "" every one of the tenant; return their serial numbers.

    The serial number is hexadecimal, as this module or ``openssl x509 -serial`` writes it; raises SettingsError.
    """
    rows = tables.rows(COLLECTORS, tenant)
    chosen = [_serial(serial)] if serial else [key for key, row in rows.items() if not row.get("revoked")]
    now = rfc3339(datetime.now(UTC))
    tables.put_rows(COLLECTORS, tenant, {key: {**rows.get(key, {}), "revoked": now} for key in chosen})
    return chosen


def _serial(text: str) -> str:
    try:
        return f"{int(text.replace(':', ''), 16):x}"
    except ValueError:
        raise SettingsError(f"{text[:60]!r} is no serial number", step="enrol", remedy="hexadecimal digits") from None


class Enrolment:
    """What a relay does about certificates; ``authority`` None: it certifies nobody, yet refuses what was revoked."""

    def __init__(self, tables: Tables, authority: Authority | None, days: int) -> None:
        self._tables = tables
        self._authority = authority
        self._days = days
        self._using = threading.Lock()
        self._used: set[str] = set()  # the copy of the table follows a moment later

    def check(self, peer: Peer) -> None:
        """Raise Refused for a certificate that was taken back."""
        row = self._tables.get(COLLECTORS, peer.tenant, f"{peer.serial:x}")
        if row is not None and row.get("revoked"):
            raise Refused(403, "the certificate was revoked")

    def authority(self) -> dict[str, Any]:
        """Return the authority's certificate, for who knows its fingerprint."""
        return {"authority": self._certifying().pem}

    def enrol(self, token: str, request: str, address: str) -> dict[str, Any]:
        """Return a certificate for a token, which is used up by it; raises Refused, DecodeError."""
        authority, parsed = self._certifying(), read_request(request)
        key = _hash(token)
        with self._using:
            row = self._tables.get(TOKENS, "", key)
            if row is None or key in self._used:
                raise Refused(403, "the token is unknown or was used: ask the provider for another")
            self._used.add(key)
        self._tables.delete(TOKENS, "", key)
        if datetime.fromisoformat(str(row["expires"])) < datetime.now(UTC):
            raise Refused(403, f"the token expired on {row['expires']}: ask the provider for another")
        return self._certify(authority, parsed, str(row["tenant"]), address, "enrolled")

    def renew(self, peer: Peer, request: str, address: str) -> dict[str, Any]:
        """Return another certificate for who has one; raises Refused, DecodeError."""
        return self._certify(self._certifying(), read_request(request), peer.tenant, address, "renewed")

    def _certify(
        self, authority: Authority, request: x509.CertificateSigningRequest, tenant: str, address: str, how: str
    ) -> dict[str, Any]:
        certificate = authority.certify(request, tenant, self._days)
        serial, until = f"{certificate.serial_number:x}", rfc3339(certificate.not_valid_after_utc)
        row = {how: rfc3339(datetime.now(UTC)), "valid_until": until, "address": address}
        self._tables.put(COLLECTORS, tenant, serial, row)
        log.info("collector_certified", tenant=tenant, how=how, serial=serial, valid_until=until, address=address)
        return {"tenant": tenant, "certificate": pem(certificate), "authority": authority.pem}

    def _certifying(self) -> Authority:
        if self._authority is None:
            raise Refused(404, "this relay certifies nobody")
        return self._authority


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
