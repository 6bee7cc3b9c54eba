"""API tokens."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from dashboards.accounts import LABEL_CHARACTERS, LONGEST_DAYS, Own, revoke_token
from dashboards.api.once import ApiRoute
from dashboards.auth.people import Right
from dashboards.auth.tokens import Token
from dashboards.visitor import Signed, TheConsole

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=ApiRoute)


class TokenInfo(BaseModel):
    """A token without its text; ``tenants`` null are all of the account's, ``used`` "" is never."""

    id: str
    label: str
    rights: list[Right]
    tenants: list[str] | None
    at: str
    expires: str
    used: str
    revoked: bool


class NewToken(BaseModel):
    """A token to make: without rights it reads, without tenants it sees those of the account."""

    label: Annotated[str, Field(min_length=1, max_length=LABEL_CHARACTERS)]
    days: Annotated[int, Field(ge=1, le=LONGEST_DAYS)]
    rights: list[Right] = []
    tenants: list[Annotated[str, Field(max_length=100)]] = []


class MadeToken(BaseModel):
    """A new token: ``text`` is shown this once."""

    text: str
    token: TokenInfo


@router.get("")
def tokens(console: TheConsole, seen: Signed) -> list[TokenInfo]:
    """List one's tokens, newest first."""
    return [info(token) for token in console.tokens.of(seen.person.name)]


@router.post("", status_code=201)
def add(own: Own, body: NewToken) -> MadeToken:
    """Make a token; a token can't make another."""
    text, token = own.add_token(body.label, body.rights, body.tenants, body.days)
    return MadeToken(text=text, token=info(token))


@router.post("/{token}/revoke")
def revoke(console: TheConsole, seen: Signed, token: str) -> TokenInfo:
    """Refuse one of one's tokens from now on."""
    return info(revoke_token(console, seen.person, seen.person.name, token))


def info(token: Token) -> TokenInfo:
    """Return what may be told of a token."""
    tenants = None if token.tenants is None else sorted(token.tenants)
    return TokenInfo(
        id=token.id,
        label=token.label,
        rights=sorted(token.rights),
        tenants=tenants,
        at=token.at,
        expires=token.expires,
        used=token.used,
        revoked=token.revoked,
    )
