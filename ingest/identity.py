"""A collector's own certificate: enrolled once by a token, renewed by the collector itself before it ends.

Key and certificate are one PEM file, so that a renewal replaces both at once; the key never leaves this machine.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

import httpx
import msgspec
import structlog
from cryptography import x509
from pydantic import SecretStr

from ingest.relay import authority
from wardwatch.bus.relay import Connection, wire
from wardwatch.errors import SettingsError, WardwatchError
from wardwatch.settings import BusAccessSettings
from wardwatch.stage import Runtime

log = structlog.get_logger()

LEFT = 1 / 3
"""A certificate is renewed when less than this share of its time is left."""
_LOOK_S = 3600.0
_AGAIN_S = 60.0
_ANSWER_S = 15.0


class _Certified(msgspec.Struct, frozen=True):
    tenant: str
    certificate: str
    authority: str


class _Authority(msgspec.Struct, frozen=True):
    authority: str


def enrol(url: str, token: str, folder: Path, proxy: str = "") -> str:
    """Write ``identity.pem`` and ``authorities.pem`` into a folder, and return the tenant they are for.

    The relay is known by its authority, whose fingerprint stands behind the token's last full stop; the token is not
    sent before. Raises SettingsError, BusUnavailable.
    """
    secret, _, pinned = token.rpartition(".")
    if not secret or len(pinned) != hashlib.sha256().digest_size * 2:
        raise SettingsError(
            "that is no token", step="enrol", remedy="wardwatch enrol create prints it, at the provider"
        )
    trusted, identity = folder / "authorities.pem", folder / "identity.pem"
    if identity.exists():
        raise SettingsError(f"{identity} is there already", step="enrol", remedy="move it away to enrol again")
    authority.write_secret(trusted, _pinned_authority(url, pinned, proxy))
    key = authority.new_key()
    body = {"token": secret, "request": authority.request_for(key)}
    access = BusAccessSettings(authorities=trusted, proxy=SecretStr(proxy))
    certified = _asked(url, access, wire.ENROL, body)
    authority.write_secret(identity, authority.key_pem(key) + certified.certificate)
    return certified.tenant


def _pinned_authority(url: str, pinned: str, proxy: str) -> str:
    """Return the relay's authority, asked for without trust in the answer: its fingerprint gives that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with httpx.Client(base_url=url, verify=context, proxy=proxy or None, timeout=_ANSWER_S) as client:
            answer = client.get(wire.AUTHORITY)
        text = msgspec.json.decode(answer.content, type=_Authority).authority
        found = authority.fingerprint(x509.load_pem_x509_certificate(text.encode()))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SettingsError(f"{url}: {error}", step="enrol", remedy="is the address right?") from None
    except (msgspec.MsgspecError, ValueError):
        reason = f"{url} is no relay that enrols: {answer.status_code}"
        raise SettingsError(reason, step="enrol", remedy="is relay.authority_key set there?") from None
    if not hmac.compare_digest(found, pinned):
        remedy = "somebody else answers there: ask the provider, and do not use the token elsewhere"
        raise SettingsError(f"{url} shows an authority of another fingerprint", step="enrol", remedy=remedy)
    return text


def renew(url: str, access: BusAccessSettings, identity: Path) -> None:
    """Replace our certificate and key; raises WardwatchError, and then the old ones stay."""
    key = authority.new_key()
    certified = _asked(url, access, wire.RENEW, {"request": authority.request_for(key)})
    authority.write_secret(identity, authority.key_pem(key) + certified.certificate)


def _asked(url: str, access: BusAccessSettings, page: str, body: dict[str, str]) -> _Certified:
    connection = Connection(url, access)
    try:
        answer = connection.request("POST", page, msgspec.json.encode(body), timeout_s=_ANSWER_S)
        return msgspec.json.decode(answer, type=_Certified)
    finally:
        connection.close()


class Renewal(threading.Thread):
    """Renews a certificate that ``enrol`` wrote, as long as the process runs."""

    def __init__(self, url: str, access: BusAccessSettings, identity: Path, runtime: Runtime) -> None:
        super().__init__(name="renewal", daemon=True)
        self._identity = identity
        self._url = url
        self._access = access
        self._runtime = runtime

    def run(self) -> None:
        """Look every hour, and sooner while it fails."""
        while not self._runtime.stopping.is_set():
            self._runtime.stopping.wait(_LOOK_S if self.look(datetime.now(UTC)) else _AGAIN_S)

    def look(self, now: datetime) -> bool:
        """Renew if it is time; a certificate that could not be renewed shows in /health."""
        try:
            ok, message = True, f"valid until {self._until(now):%Y-%m-%d}"
        except (WardwatchError, OSError, ValueError, msgspec.MsgspecError) as error:
            ok, message = False, f"the certificate can't be renewed: {error}"
        self._runtime.report("certificate", ok=ok, message=message)
        return ok

    def _until(self, now: datetime) -> datetime:
        own = _first(self._identity)
        whole, left = own.not_valid_after_utc - own.not_valid_before_utc, own.not_valid_after_utc - now
        if left > whole * LEFT:
            return own.not_valid_after_utc
        renew(self._url, self._access, self._identity)
        log.info("certificate_renewed")
        return _first(self._identity).not_valid_after_utc


def own_identity(url: str, access: BusAccessSettings) -> Path | None:
    """Return the file that ``enrol`` wrote, key and certificate in one; None where they came otherwise."""
    return access.certificate if url.startswith("https://") and access.certificate == access.key else None


def _first(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificates(path.read_bytes())[0]
