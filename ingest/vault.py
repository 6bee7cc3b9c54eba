"""Tokens for the scrub: a vault of random ones that the hospital can reveal, or keyed hashes that need no state.

A value is normalised first: Unicode NFKC (full-width digits), no surrounding white space, and for staff no case, since
accounts are written as people type them. Records of two sources about one person thus carry the same token, a patient's
for one epoch (a month, a year), so that the provider can't follow a patient over the years; the hospital can.
"""

from __future__ import annotations

import hmac
import os
import sqlite3
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ingest.scrub import PATIENT_BOUND, Action, Tokens
from wardwatch.errors import DecodeError, NotFound, SettingsError, Unavailable
from wardwatch.settings import CollectorSettings

KEY_BYTES = 32
TOKEN_BYTES = 12  # 96 bits: random ones collide after about 2^48 values
NONCE_BYTES = 12  # NIST SP 800-38D, 8.2.2
CACHED = 65_536  # tokens, each with its value: most values come again soon
LONGEST_CACHED = 128  # characters of a value

_SCHEMA = """
CREATE TABLE IF NOT EXISTS key_check (digest BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS tokens (
    digest BLOB PRIMARY KEY, token TEXT NOT NULL UNIQUE, epoch TEXT NOT NULL, sealed BLOB NOT NULL,
    guarded INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
"""


Clock = Callable[[], datetime]


def _utc() -> datetime:
    return datetime.now(UTC)


def open_tokens(settings: CollectorSettings, folder: Path) -> Tokens:
    """Return the token source that the settings ask for; its key and its vault are in ``folder`` unless they say so."""
    if settings.tokens == "vault":
        return open_vault(settings, folder)
    return HmacTokens(load_key(key_path(settings, folder)), Epochs(settings.token_epoch))


def open_vault(settings: CollectorSettings, folder: Path) -> Vault:
    """Return the vault in a site's folder, after finishing a change of its key that was cut short."""
    key, vault = key_path(settings, folder), vault_path(folder)
    if next_key(key).exists() and vault.exists() and opens(vault, load_key(next_key(key))):
        next_key(key).replace(key)
    return Vault(vault, load_key(key), Epochs(settings.token_epoch))


def vault_path(folder: Path) -> Path:
    """Return the vault's file in a site's folder."""
    return folder / "vault.sqlite"


def key_path(settings: CollectorSettings, folder: Path) -> Path:
    """Return the file of the key."""
    return settings.token_key or folder / "token.key"


@dataclass(frozen=True, slots=True)
class Epochs:
    """How long a patient's tokens stay the same; those of staff always do: rules compare people with their past."""

    length: Literal["never", "year", "month"] = "never"
    clock: Clock = _utc

    def of(self, kind: str) -> str:
        """Return the epoch of a token made now: ``2026-03``, ``2026``, or "" for one that stays."""
        if self.length == "never" or kind not in PATIENT_BOUND:
            return ""
        now = self.clock()
        return _month(now.year, now.month) if self.length == "month" else f"{now.year:04}"


@lru_cache(maxsize=16)
def _month(year: int, month: int) -> str:
    return f"{year:04}-{month:02}"


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


def _digest(key: bytes, kind: str, epoch: str, value: str) -> bytes:
    keyed = _keyed(key).copy()
    keyed.update(f"{kind}\0{epoch}\0{value}".encode("utf-8", "surrogatepass"))
    return keyed.digest()


@lru_cache(maxsize=4)
def _keyed(key: bytes) -> hmac.HMAC:
    """Return the hash that has taken its key, which is more than half of the work."""
    return hmac.new(key, digestmod="sha256")


def _index_key(key: bytes) -> bytes:
    return hmac.digest(key, b"index", "sha256")


def _seal(key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, b"seal", "sha256"))


def _check(key: bytes) -> bytes:
    return hmac.digest(_index_key(key), b"check", "sha256")


def next_key(key: Path) -> Path:
    return key.with_name(f"{key.name}.next")


def opens(path: Path, key: bytes) -> bool:
    """Tell whether a key is the one that a vault's file was made with."""
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        row = database.execute("SELECT digest FROM key_check").fetchone()
    return row is not None and hmac.compare_digest(row[0], _check(key))


class HmacTokens:
    """Tokens that are truncated HMAC-SHA256 of kind, epoch and value: no state, but derived and not revealable.

    HIPAA 164.514(c) asks for codes that are not derived from the person's data: prefer the vault.
    """

    assurance = "derived"

    def __init__(self, key: bytes, epochs: Epochs = Epochs()) -> None:
        self._key = key
        self._epochs = epochs
        self._remembered = lru_cache(maxsize=CACHED)(self._token)

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value."""
        find = self._remembered if len(value) <= LONGEST_CACHED else self._token
        return find(kind, self._epochs.of(kind), value)

    def _token(self, kind: str, epoch: str, value: str) -> str:
        digest = _digest(self._key, kind, epoch, _normal(kind, value))
        return f"{kind}_{digest[:TOKEN_BYTES].hex()}"

    def guard(self, kind: str, value: str) -> None:
        """Do nothing: there is nothing to reveal."""

    def commit(self) -> None:
        """Do nothing: there is no state."""


class Vault:
    """Random tokens in one SQLite file, found again by HMAC-SHA256 of the value, which is sealed with AES-256-GCM.

    Safe for several threads of one process; another process may reveal. Raises SettingsError when the key is not the
    one that the file was made with, Unavailable when the file can't be read or written now.
    """

    assurance = "random"

    def __init__(self, path: Path, key: bytes, epochs: Epochs = Epochs()) -> None:
        self._index_key = _index_key(key)
        self._seal = _seal(key)
        self._epochs = epochs
        self._lock = threading.Lock()
        self._remembered = lru_cache(maxsize=CACHED)(self._token)
        self._new: dict[bytes, tuple[bytes, str, str, bytes]] = {}  # rows that are not durable yet
        self._guarded: set[bytes] = set()  # digests whose mark is not durable yet
        self._known_guarded: set[bytes] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=10)
            self._database.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_SCHEMA}")
            self._check_key(path, key)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"vault {path} can't be opened: {error}", step="vault") from None

    def _check_key(self, path: Path, key: bytes) -> None:
        row = self._database.execute("SELECT digest FROM key_check").fetchone()
        if row is None:
            self._database.execute("INSERT INTO key_check VALUES (?)", (_check(key),))
        elif not hmac.compare_digest(row[0], _check(key)):
            remedy = "restore the key file that this vault was made with"
            raise SettingsError(f"the key does not open vault {path}", step="vault", remedy=remedy)

    def token(self, kind: str, value: str) -> str:
        """Return the token of a value in this epoch, made at its first sight; raises Unavailable."""
        find = self._remembered if len(value) <= LONGEST_CACHED else self._token
        return find(kind, self._epochs.of(kind), value)

    def _token(self, kind: str, epoch: str, value: str) -> str:
        value = _normal(kind, value)
        digest = _digest(self._index_key, kind, epoch, value)
        with self._lock:
            return self._stored(digest) or self._make(digest, kind, epoch, value)

    def guard(self, kind: str, value: str) -> None:
        """Mark the token of a value in this epoch: only two people together may reveal it. Durable at ``commit``."""
        digest = _digest(self._index_key, kind, self._epochs.of(kind), _normal(kind, value))
        with self._lock:
            if digest not in self._known_guarded:
                self._guarded.add(digest)

    def _stored(self, digest: bytes) -> str | None:
        if digest in self._new:
            return self._new[digest][1]
        try:
            row = self._database.execute("SELECT token FROM tokens WHERE digest = ?", (digest,)).fetchone()
        except sqlite3.Error as error:
            raise Unavailable(f"the vault can't be read: {error}", step="vault") from None
        return cast("str", row[0]) if row else None

    def _make(self, digest: bytes, kind: str, epoch: str, value: str) -> str:
        token = f"{kind}_{os.urandom(TOKEN_BYTES).hex()}"
        self._new[digest] = (digest, token, epoch, _sealed(self._seal, token, value))
        return token

    def commit(self) -> None:
        """Write the new tokens and wait for the disk; raises Unavailable, and then keeps them for the next time."""
        with self._lock:
            if not self._new and not self._guarded:
                return
            try:
                self._write()
            except sqlite3.Error as error:
                raise Unavailable(f"the vault can't be written: {error}", step="vault") from None
            self._new.clear()
            self._known_guarded |= self._guarded
            self._guarded.clear()

    def _write(self) -> None:
        with transaction(self._database):
            rows = self._new.values()
            self._database.executemany("INSERT INTO tokens (digest, token, epoch, sealed) VALUES (?, ?, ?, ?)", rows)
            marks = [(digest,) for digest in self._guarded]
            self._database.executemany("UPDATE tokens SET guarded = 1 WHERE digest = ?", marks)

    def reveal(self, token: str) -> str:
        """Return the (normalised) value of a token; raises NotFound, or DecodeError when its row was tampered with."""
        with self._lock:
            row = self._database.execute("SELECT sealed FROM tokens WHERE token = ?", (token,)).fetchone()
        if row is None:
            raise NotFound("no such token in this vault", step="vault")
        return _opened(self._seal, token, row[0])

    def same(self, token: str) -> dict[str, str]:
        """Return the tokens that the value of a token has in every epoch, by epoch; raises like ``reveal``."""
        kind, value = token.partition("_")[0], self.reveal(token)
        with self._lock:
            epochs = [row[0] for row in self._database.execute("SELECT DISTINCT epoch FROM tokens ORDER BY epoch")]
            digests = {epoch: _digest(self._index_key, kind, epoch, value) for epoch in epochs}
            found = {epoch: self._stored(digest) for epoch, digest in digests.items()}
        return {epoch: token for epoch, token in found.items() if token}

    def is_guarded(self, token: str) -> bool:
        """Tell whether two people are needed for a token, in whichever epoch its value was marked."""
        tokens = list(self.same(token).values())
        query = f"SELECT max(guarded) FROM tokens WHERE token IN ({', '.join('?' * len(tokens))})"  # noqa: S608
        with self._lock:
            return bool(self._database.execute(query, tokens).fetchone()[0])

    def check(self) -> int:
        """Return how many tokens there are, after opening each; raises DecodeError naming one that was changed."""
        with self._lock:
            rows = self._database.execute("SELECT token, sealed FROM tokens").fetchall()
        for token, sealed in rows:
            _opened(self._seal, token, sealed)
        return len(rows)

    def back_up(self, path: Path) -> None:
        """Copy the vault into a new file, also while a collector writes it; the key is not in it."""
        path.touch(mode=0o600, exist_ok=False)
        with closing(sqlite3.connect(path)) as copy:
            self._database.backup(copy)

    def change_key(self, key: bytes) -> None:
        """Seal and index everything anew under another key, in one transaction; the vault must be closed after it."""
        index, seal = _index_key(key), _seal(key)
        with self._lock, transaction(self._database):
            rows = self._database.execute("SELECT digest, token, epoch, sealed FROM tokens").fetchall()
            self._database.executemany(
                "UPDATE tokens SET digest = ?, sealed = ? WHERE digest = ?",
                (self._again(index, seal, row) for row in rows),
            )
            self._database.execute("UPDATE key_check SET digest = ?", (_check(key),))

    def _again(self, index: bytes, seal: AESGCM, row: tuple[bytes, str, str, bytes]) -> tuple[bytes, bytes, bytes]:
        digest, token, epoch, sealed = row
        value = _opened(self._seal, token, sealed)
        return _digest(index, token.partition("_")[0], epoch, value), _sealed(seal, token, value), digest

    def close(self) -> None:
        """Close the file; tokens not committed are forgotten."""
        self._database.close()


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """Write everything or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _sealed(seal: AESGCM, token: str, value: str) -> bytes:
    nonce = os.urandom(NONCE_BYTES)
    return nonce + seal.encrypt(nonce, value.encode("utf-8", "surrogatepass"), token.encode())


def _opened(seal: AESGCM, token: str, sealed: bytes) -> str:
    try:
        return seal.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], token.encode()).decode("utf-8", "surrogatepass")
    except InvalidTag:
        raise DecodeError("the sealed value was changed", step="vault", record=token) from None
