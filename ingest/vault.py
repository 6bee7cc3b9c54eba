"""Tokens for the scrub: a vault of random ones that the hospital can reveal, or keyed hashes that need no state.

A value is normalised first: Unicode NFKC (full-width digits), no surrounding white space, and for staff no case, since
accounts are written as people type them. Records of two sources about one person thus carry the same token.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
import unicodedata
from collections import OrderedDict
from pathlib import Path
from typing import cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.scrub import Action, Tokens
from wardwatch.errors import DecodeError, NotFound, SettingsError, Unavailable
from wardwatch.settings import CollectorSettings

KEY_BYTES = 32
TOKEN_BYTES = 12  # 96 bits: random ones collide after about 2^48 values
NONCE_BYTES = 12  # NIST SP 800-38D, 8.2.2
CACHED = 100_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key_check (digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (digest BLOB PRIMARY KEY, token TEXT NOT NULL UNIQUE, sealed BLOB NOT NULL)
WITHOUT ROWID;
"""


def open_tokens(settings: CollectorSettings, folder: Path) -> Tokens:
    """Return the token source that the settings ask for; its key and its vault are in ``folder`` unless they say so."""
    key = load_key(settings.token_key or folder / "token.key")
    return Vault(folder / "vault.sqlite", key) if settings.tokens == "vault" else HmacTokens(key)


def load_key(path: Path) -> bytes:
    """Return the key of 32 bytes in a file, made at random and for the owner only if absent; raises SettingsError."""
    try:
        if not path.exists():
            _make_key(path)
        if path.stat().st_mode & 0o077:
            raise SettingsError(f"{path} is open to others", step="vault", remedy=f"chmod 600 {path}")
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"key {path}: {error.strerror}", step="vault", remedy="set collector.token_key") from None
    if len(key) != KEY_BYTES:
        remedy = "restore the key from its backup; without it no token can be revealed"
        raise SettingsError(f"{path} has {len(key)} bytes, not {KEY_BYTES}", step="vault", remedy=remedy)
    return key


def _make_key(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        file.write(os.urandom(KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())


def _normal(kind: str, value: str) -> str:
    text = (value if value.isascii() else unicodedata.normalize("NFKC", value)).strip()
    return text.casefold() if kind == Action.STAFF.value else text


def _digest(key: bytes, kind: str, value: str) -> bytes:
    return hmac.digest(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")


class HmacTokens:
    """Tokens that are truncated HMAC-SHA256 of kind and value: no state, but derived from the value and not revealable.

    HIPAA 164.514(c) asks for codes that are not derived from the person's data: prefer the vault.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value."""
        return f"{kind}_{_digest(self._key, kind, _normal(kind, value))[:TOKEN_BYTES].hex()}"

    def commit(self) -> None:
        """Do nothing: there is no state."""


class Vault:
    """Random tokens in one SQLite file, found again by HMAC-SHA256 of the value, which is sealed with AES-256-GCM.

    Safe for several threads of one process; another process may reveal. Raises SettingsError when the key is not the
    one that the file was made with, Unavailable when the file can't be read or written now.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._index_key = hmac.digest(key, b"index", "sha256")
        self._seal = AESGCM(hmac.digest(key, b"seal", "sha256"))
        self._lock = threading.Lock()
        self._cache: OrderedDict[bytes, str] = OrderedDict()
        self._new: dict[bytes, tuple[bytes, str, bytes]] = {}  # rows that are not durable yet
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
            self._check_key(path)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"vault {path} can't be opened: {error}", step="vault") from None

    def _check_key(self, path: Path) -> None:
        digest = hmac.digest(self._index_key, b"check", "sha256")
        row = self._database.execute("SELECT digest FROM key_check").fetchone()
        if row is None:
            self._database.execute("INSERT INTO key_check VALUES (?)", (digest,))
        elif not hmac.compare_digest(row[0], digest):
            remedy = "restore the key file that this vault was made with"
            raise SettingsError(f"the key does not open vault {path}", step="vault", remedy=remedy)

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value, made at its first sight; raises Unavailable."""
        value = _normal(kind, value)
        digest = _digest(self._index_key, kind, value)
        with self._lock:
            token = self._cache.get(digest) or self._stored(digest) or self._make(digest, kind, value)
            self._cache[digest] = token
            self._cache.move_to_end(digest)
            if len(self._cache) > CACHED:
                self._cache.popitem(last=False)
        return token

    def _stored(self, digest: bytes) -> str | None:
        if digest in self._new:
            return self._new[digest][1]
        try:
            row = self._database.execute("SELECT token FROM tokens WHERE digest = ?", (digest,)).fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"the vault can't be read: {error}", step="vault") from None
        return cast("str", row[0]) if row else None

    def _make(self, digest: bytes, kind: str, value: str) -> str:
        token = f"{kind}_{os.urandom(TOKEN_BYTES).hex()}"
        nonce = os.urandom(NONCE_BYTES)
        sealed = nonce + self._seal.encrypt(nonce, value.encode("utf-8", "surrogatepass"), token.encode())
        self._new[digest] = (digest, token, sealed)
        return token

    def commit(self) -> None:
        """Write the new tokens and wait for the disk; raises Unavailable, and then keeps them for the next time."""
        with self._lock:
            if not self._new:
                return
            try:
                self._write()
            except sqlite3.Error as error:
                raise Unavailable(f"the vault can't be written: {error}", step="vault") from None
            self._new.clear()

    def _write(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            self._database.executemany("INSERT INTO tokens VALUES (?, ?, ?)", self._new.values())
            self._database.execute("COMMIT")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise

    def reveal(self, token: str) -> str:
        """Return the (normalised) value of a token; raises NotFound, or DecodeError when its row was tampered with."""
        with self._lock:
            row = self._database.execute("SELECT sealed FROM tokens WHERE token = ?", (token,)).fetchone()
        if row is None:
            raise NotFound("no such token in this vault", step="vault")
        try:
            value = self._seal.decrypt(row[0][:NONCE_BYTES], row[0][NONCE_BYTES:], token.encode())
        except InvalidTag:
            raise DecodeError("the sealed value was changed", step="vault") from None
        return value.decode("utf-8", "surrogatepass")

    def close(self) -> None:
        """Close the file; tokens not committed are forgotten."""
        self._database.close()
