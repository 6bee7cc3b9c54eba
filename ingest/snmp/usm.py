"""The user-based security model: keys, digests and privacy (RFC 3414; AES: RFC 3826; SHA-2: RFC 7860).

Longer AES keys are no standard: ``aes256`` extends them as draft-blumenthal-aes-usm-04 has it, ``aes256c`` as
draft-reeder-snmpv3-usm-3desede-00, which Cisco devices do. With sha256 and longer digests the two are one.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from functools import lru_cache

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.decrepit.ciphers.modes import CFB
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from ingest.snmp.ber import BerError

DIGESTS = {
    "md5": ("md5", 12),
    "sha": ("sha1", 12),
    "sha224": ("sha224", 16),
    "sha256": ("sha256", 24),
    "sha384": ("sha384", 32),
    "sha512": ("sha512", 48),
}
"""Authentication protocol → hash, and octets of a digest that a message carries."""

_PASSWORD_OCTETS = 2**20
KEY_BYTES = {"des": 16, "aes": 16, "aes256": 32, "aes256c": 32}
_ENGINES = 10_000
"""Senders whose keys and clocks are remembered; those that were silent longest are forgotten."""


def key_of_password(password: bytes, digest: str) -> bytes:
    """Return Ku, the hash over 1 MiB of the password repeated (RFC 3414, A.2)."""
    times, rest = divmod(_PASSWORD_OCTETS, len(password))
    return hashlib.new(digest, password * times + password[:rest]).digest()


def localised(key: bytes, engine: bytes, digest: str) -> bytes:
    """Return Kul, the key of one engine (RFC 3414, 2.6)."""
    return hashlib.new(digest, key + engine + key).digest()


class User:
    """One user. ``privacy`` is "" or a name of KEY_BYTES; a message must have just this level of security."""

    def __init__(
        self, name: bytes, auth: str, auth_password: bytes, privacy: str = "", privacy_password: bytes = b""
    ) -> None:
        self.name = name
        self.auth = auth
        self.privacy = privacy
        self._hash, self._size = DIGESTS[auth]
        self._auth_master = key_of_password(auth_password, self._hash)
        self._privacy_master = key_of_password(privacy_password, self._hash) if privacy else b""
        self._auth_key = lru_cache(_ENGINES)(lambda engine: localised(self._auth_master, engine, self._hash))
        self._privacy_key = lru_cache(_ENGINES)(self._localised_for_privacy)

    @property
    def digest_size(self) -> int:
        """Octets of a digest that a message carries."""
        return self._size

    def digest(self, message: bytes, engine: bytes) -> bytes:
        """Return the digest of a message whose place for it is zeroed (RFC 3414, 6.3.1; RFC 7860, 4.2.1)."""
        return hmac.digest(self._auth_key(engine), message, self._hash)[: self._size]

    def verifies(self, digest: bytes, message: bytes, engine: bytes) -> bool:
        """Tell whether this is the digest of a message whose place for it is zeroed."""
        return len(digest) == self._size and hmac.compare_digest(digest, self.digest(message, engine))

    def decrypt(self, data: bytes, engine: bytes, boots: int, time: int, salt: bytes) -> bytes:
        """Return the scoped PDU with its padding; raises BerError."""
        if len(salt) != 8 or (self.privacy == "des" and len(data) % 8):
            raise BerError("no salt of 8 octets, or half a block")
        decryptor = self._cipher(engine, boots, time, salt).decryptor()
        return decryptor.update(data) + decryptor.finalize()

    def encrypt(self, data: bytes, engine: bytes, boots: int, time: int) -> tuple[bytes, bytes]:
        """Return the encrypted scoped PDU and its salt."""
        salt = secrets.token_bytes(8)
        padding = bytes(-len(data) % 8) if self.privacy == "des" else b""
        encryptor = self._cipher(engine, boots, time, salt).encryptor()
        return encryptor.update(data + padding) + encryptor.finalize(), salt

    def _cipher(self, engine: bytes, boots: int, time: int, salt: bytes) -> Cipher[CBC] | Cipher[CFB]:
        key = self._privacy_key(engine)
        if self.privacy == "des":  # RFC 3414, 8.1.1.1: the key's second half is xored with the salt
            vector = bytes(one ^ other for one, other in zip(key[8:16], salt, strict=True))
            return Cipher(TripleDES(key[:8] * 3), CBC(vector))
        return Cipher(AES(key), CFB(boots.to_bytes(4, "big") + time.to_bytes(4, "big") + salt))

    def _localised_for_privacy(self, engine: bytes) -> bytes:
        """Return as many octets of key as the cipher takes."""
        key = localised(self._privacy_master, engine, self._hash)
        size = KEY_BYTES[self.privacy]
        if len(key) < size and self.privacy == "aes256c":
            key += localised(key_of_password(key, self._hash), engine, self._hash)
        elif len(key) < size:
            key += hashlib.new(self._hash, key).digest()
        return key[:size]
