"""The provider's certificate authority: it certifies collectors by the name of their tenant, and the relay itself.

Certificates are those of RFC 5280 with the purposes apart (extended key usage): a hospital's can't pose as the relay.
"""

from __future__ import annotations

import ipaddress
import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from wardwatch.errors import DecodeError, SettingsError

OWN_DAYS = 3650
RELAY_DAYS = 825
_EARLIER = timedelta(hours=1)  # clocks of hospitals run behind
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: EllipticCurvePrivateKey

    @property
    def pem(self) -> str:
        """The certificate."""
        return pem(self.certificate)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal: what a collector is told beforehand."""
        return fingerprint(self.certificate)

    def certify(self, request: x509.CertificateSigningRequest, tenant: str, days: int) -> x509.Certificate:
        """Return a collector's certificate; of the request only the key counts."""
        return self._issue(request.public_key(), tenant, days, ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def certify_relay(self, key: EllipticCurvePrivateKey, host: str) -> x509.Certificate:
        """Return a relay's certificate for its host name or address."""
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        return self._issue(key.public_key(), host, RELAY_DAYS, ExtendedKeyUsageOID.SERVER_AUTH, [name])

    def _issue(
        self,
        key: CertificatePublicKeyTypes,
        name: str,
        days: int,
        purpose: x509.ObjectIdentifier,
        hosts: list[x509.GeneralName],
    ) -> x509.Certificate:
        builder = _builder(_named(name), self.certificate.subject, key, days)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=True)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def new_authority() -> Authority:
    """Return a new authority, which certifies no other authorities."""
    key, name = new_key(), _named("wardwatch collectors")
    builder = _builder(name, name, key.public_key(), OWN_DAYS)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    return Authority(builder.sign(key, hashes.SHA256()), key)


def load_authority(certificate: Path, key: Path) -> Authority:
    """Read an authority; raises SettingsError naming the file."""
    try:
        secret = load_pem_private_key(key.read_bytes(), None)
        own = x509.load_pem_x509_certificate(certificate.read_bytes())
    except OSError as error:
        raise SettingsError(f"{error.filename}: {error.strerror}", step="relay") from None
    except (ValueError, TypeError):
        raise SettingsError(f"{certificate} or {key} is no PEM, or has a password", step="relay") from None
    if not isinstance(secret, EllipticCurvePrivateKey) or own.public_key() != secret.public_key():
        remedy = "wardwatch enrol authority makes a pair"
        raise SettingsError(f"{key} is not the EC key of {certificate}", step="relay", remedy=remedy)
    return Authority(own, secret)


def read_request(text: str) -> x509.CertificateSigningRequest:
    """Return a certificate signing request (PKCS #10, PEM); raises DecodeError, also for a key that is too weak."""
    try:
        request = x509.load_pem_x509_csr(text.encode())
        valid, key = request.is_signature_valid, request.public_key()
    except Exception as error:
        raise DecodeError(f"no certificate signing request: {type(error).__name__}", step="enrol") from None
    strong = isinstance(key, ec.EllipticCurvePublicKey) or (
        isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS
    )
    if not valid or not strong:
        reason = "the request is not signed by its key, or that is neither EC nor RSA of 2048 bits"
        raise DecodeError(reason, step="enrol")
    return request


def request_for(key: EllipticCurvePrivateKey, name: str = "collector") -> str:
    """Return a certificate signing request (PEM) for a key."""
    return x509.CertificateSigningRequestBuilder(_named(name)).sign(key, hashes.SHA256()).public_bytes(_PEM).decode()


def new_key() -> EllipticCurvePrivateKey:
    """Return a new key on P-256."""
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: EllipticCurvePrivateKey) -> str:
    """Return a key as PEM, without a password."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(_PEM, form, serialization.NoEncryption()).decode()


def pem(certificate: x509.Certificate) -> str:
    """Return a certificate as PEM."""
    return certificate.public_bytes(_PEM).decode()


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate, in hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all; raises SettingsError."""
    new = path.with_name(path.name + ".new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except OSError as error:
        raise SettingsError(
            f"{path}: {error.strerror}", step="enrol", remedy="run this as the folder's owner"
        ) from None


_PEM = serialization.Encoding.PEM


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, days: int
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(now + timedelta(days=days))
    )
