"""The row of a collector's configuration, signed by the provider with Ed25519 (RFC 8032).

The row ``default`` of the table ``collector_config`` of a tenant has ``version``, ``text`` (TOML) and ``signature``
(base64), which covers tenant, version and text: a row is good for one hospital only, and says which is the newer.
"""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Annotated

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from ingest.relay.authority import write_secret
from wardwatch.errors import DecodeError, SettingsError
from wardwatch.event import Document

TABLE = "collector_config"
KEY = "default"
MAX_TEXT_CHARACTERS = 200_000
MAX_VERSION = 2**53 - 1
_PURPOSE = b"wardwatch collector_config 1"


class Row(msgspec.Struct, frozen=True):
    """A configuration as it is published."""

    version: Annotated[int, msgspec.Meta(ge=1, le=MAX_VERSION)]
    text: Annotated[str, msgspec.Meta(max_length=MAX_TEXT_CHARACTERS)]
    signature: str


def signed(key: Ed25519PrivateKey, tenant: str, version: int, text: str) -> Row:
    """Return the row of a configuration."""
    return Row(version, text, base64.b64encode(key.sign(_covered(tenant, version, text))).decode())


def verified(document: Document, key: Ed25519PublicKey, tenant: str) -> Row:
    """Return a row that the key's owner signed for the tenant; raises DecodeError for every other."""
    try:
        row = msgspec.convert(document, Row)
        key.verify(base64.b64decode(row.signature, validate=True), _covered(tenant, row.version, row.text))
    except (msgspec.ValidationError, UnicodeEncodeError) as error:
        raise DecodeError(f"no configuration: {error}", step="configuration") from None
    except (InvalidSignature, binascii.Error, ValueError):
        reason = f"version {row.version} is not signed by the provider for {tenant}"
        raise DecodeError(reason, step="configuration") from None
    return row


def _covered(tenant: str, version: int, text: str) -> bytes:
    return b"\0".join((_PURPOSE, tenant.encode(), str(version).encode(), text.encode()))


def make_key(path: Path) -> Path:
    """Write a private key, for its owner only, and beside it the public one, whose path is returned.

    Raises SettingsError, also when one of them is there already.
    """
    public = path.with_name(path.name + ".pub")
    for each in (path, public):
        if each.exists():
            raise SettingsError(f"{each} is there already", step="configuration", remedy="name another file")
    key = Ed25519PrivateKey.generate()
    form, no_password = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    write_secret(path, key.private_bytes(serialization.Encoding.PEM, form, no_password).decode())
    own = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    try:
        public.write_bytes(own)
    except OSError as error:
        raise SettingsError(f"{public}: {error.strerror}", step="configuration") from None
    return public


def private_key(path: Path) -> Ed25519PrivateKey:
    """Read the provider's private key; raises SettingsError."""
    try:
        found = serialization.load_pem_private_key(_read(path), None)
    except (ValueError, TypeError):
        found = None
    if not isinstance(found, Ed25519PrivateKey):
        raise _no_key(path, "private")
    return found


def public_key(path: Path) -> Ed25519PublicKey:
    """Read the provider's public key; raises SettingsError."""
    try:
        found = serialization.load_pem_public_key(_read(path))
    except ValueError:
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise _no_key(path, "public")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}", step="configuration") from None


def _no_key(path: Path, kind: str) -> SettingsError:
    remedy = "wardwatch collector-config key makes a pair"
    return SettingsError(f"{path} is no {kind} Ed25519 key in PEM", step="configuration", remedy=remedy)
