"""Who is at the other end: the hospital that a client's certificate names.

The tenant is the certificate's one common name (X.520 commonName), as Kafka's own principal ``User:CN=renai`` has it.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.x509.oid import NameOID

from wardwatch.bus.tls import show, trust
from wardwatch.errors import SettingsError
from wardwatch.settings import RelaySettings
from wardwatch.topics import TENANT, UNKNOWN


class Refused(Exception):
    """A request that is answered by a status of 4xx and a reason."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Peer:
    """A client's certificate, which TLS has verified: whose it is, its serial number, and how long it is valid."""

    tenant: str
    serial: int
    valid_until: datetime


def peer_of(certificate: bytes | None, now: datetime | None = None) -> Peer:
    """Return whom a verified certificate (DER) names; raises Refused unless that is one tenant, and still valid."""
    if certificate is None:
        raise Refused(401, "a certificate is needed")
    parsed = x509.load_der_x509_certificate(certificate)
    names = [str(each.value) for each in parsed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if len(names) != 1 or not TENANT.fullmatch(names[0]) or names[0] == UNKNOWN:
        raise Refused(403, "the certificate's common name is no tenant")
    if parsed.not_valid_after_utc <= (now or datetime.now(UTC)):  # its connection may be older
        raise Refused(401, "the certificate has expired")
    return Peer(names[0], parsed.serial_number, parsed.not_valid_after_utc)


def server_context(relay: RelaySettings) -> ssl.SSLContext:
    """Return TLS 1.2 or newer that asks every client for a certificate of the authority; raises SettingsError.

    Where the relay enrols, a client may have none yet; one of another authority is refused all the same.
    """
    if not relay.certificate or not relay.key or not relay.authorities:
        remedy = "set relay.certificate, relay.key and relay.authorities; see docs/operator/relay.md"
        raise SettingsError("a relay needs certificate, key and authorities", step="relay", remedy=remedy)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL if relay.authority_key else ssl.CERT_REQUIRED
    show(context, relay.certificate, relay.key, "relay.certificate and relay.key")
    trust(context, relay.authorities, "relay.authorities")
    return context
