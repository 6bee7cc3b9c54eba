"""The second factor: one-time codes by time (RFC 6238 over SHA-1, 6 digits, 30 s) and recovery codes for a lost phone.

Ten lines of RFC 4226 and 6238 are here rather than in a library because the time step of a code that fits must be
known: a step that was used is not taken again (RFC 6238, 5.2).
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from base64 import b32decode, b32encode
from dataclasses import replace
from hashlib import sha256
from urllib.parse import quote

import segno

from dashboards.auth.people import People, Person
from wardwatch.errors import Forbidden

STEP_S = 30
DIGITS = 6
RECOVERY_CODES = 10
_ISSUER = "wardwatch"
_DRIFT = 1  # steps that a phone's clock may be early or late
_SECRET_BYTES = 20  # RFC 4226, 4, R6


def new_secret() -> str:
    """Return a secret in Base32."""
    return b32encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def is_secret(text: str) -> bool:
    """Tell whether a text is a secret as ``new_secret`` returns it."""
    return re.fullmatch(r"[A-Z2-7]{32}", text) is not None


def without(person: Person) -> Person:
    """Return the account without a second factor."""
    return replace(person, totp="", totp_step=0, recovery=())


def code_at(secret: str, step: int, digits: int = DIGITS) -> str:
    """Return the code of a time step (RFC 4226, 5.3)."""
    digest = hmac.digest(b32decode(secret), step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0xF
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def step_of(secret: str, code: str, after: int, now_s: float | None = None) -> int | None:
    """Return the time step whose code this is, among those near now and later than ``after``, or None."""
    current = int(time.time() if now_s is None else now_s) // STEP_S
    near = range(max(after + 1, current - _DRIFT), current + _DRIFT + 1)
    fits = [step for step in near if hmac.compare_digest(code_at(secret, step).encode(), code.encode())]
    return fits[0] if fits else None


def new_recovery_codes() -> list[str]:
    """Return codes of 50 random bits each, to be shown once."""
    texts = (b32encode(secrets.token_bytes(7)).decode()[:10].lower() for _ in range(RECOVERY_CODES))
    return [f"{text[:5]}-{text[5:]}" for text in texts]


def hashed(code: str) -> str:
    """Return the SHA-256 of a recovery code, however it was typed."""
    return sha256("".join(filter(str.isalnum, code)).lower().encode()).hexdigest()


def use(people: People, name: str, code: str) -> str:
    """Use up a code of the account and say which kind it was, ``code`` or ``recovery``.

    Raises NotFound, and Forbidden for a code that is wrong or was used.
    """
    kind = ""

    def spend(person: Person) -> Person:
        nonlocal kind
        typed = code.replace(" ", "")
        if person.totp and (step := step_of(person.totp, typed, person.totp_step)) is not None:
            kind = "code"
            return replace(person, totp_step=step)
        if person.totp and hashed(typed) in person.recovery:
            kind = "recovery"
            return replace(person, recovery=tuple(left for left in person.recovery if left != hashed(typed)))
        raise Forbidden("the code is wrong or was used", step="second factor", record=name)

    people.change(name, spend)
    return kind


def uri(secret: str, name: str) -> str:
    """Return the secret as authenticator apps read it (Key URI Format)."""
    return f"otpauth://totp/{quote(f'{_ISSUER}:{name}')}?secret={secret}&issuer={_ISSUER}"


def picture(secret: str, name: str) -> str:
    """Return the URI as a QR code in SVG."""
    return str(segno.make(uri(secret, name), error="m").svg_inline(scale=4, border=4, light="#fff"))
