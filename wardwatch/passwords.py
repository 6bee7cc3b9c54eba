"""Passwords as argon2id hashes."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from wardwatch.errors import SettingsError

LEAST_CHARACTERS = 10
MOST_CHARACTERS = 200  # a longer text only costs the server time

HASHER = PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
"""RFC 9106, second recommended option, on one lane."""


def hash_password(password: str) -> str:
    """Return the argon2id hash of a new password; raises SettingsError unless it has 10 to 200 characters."""
    if not LEAST_CHARACTERS <= len(password) <= MOST_CHARACTERS:
        raise SettingsError(f"a password has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters", step="users")
    return HASHER.hash(password)


def verify(password_hash: str, password: str) -> bool:
    """Tell whether the password is the one that was hashed."""
    try:
        return len(password) <= MOST_CHARACTERS and HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False
