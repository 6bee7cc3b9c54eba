"""The connection to Elasticsearch and what its errors mean here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypedDict
from urllib.parse import unquote, urlsplit

from elastic_transport import SerializationError, TransportError
from elasticsearch import ApiError, Elasticsearch
from elasticsearch.serializer import OrjsonSerializer

from wardwatch.errors import Conflict, NotFound, RecordError, RejectedByStore, SettingsError, StoreUnavailable

TIMEOUT_S = 30.0
_DEFAULT_PORT = 9200


def connect(url: str) -> tuple[Elasticsearch, str]:
    """Return a client, which connects at first use, and the URL without secrets; raises SettingsError."""
    parts = urlsplit(url)
    try:
        port = parts.port or _DEFAULT_PORT
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise SettingsError("the store's URL names no host", step="settings", remedy="https://user:password@host:9200")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    plain = f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    # a retry of ours must know what was answered: the client itself never tries twice
    client = Elasticsearch(
        plain, basic_auth=login, request_timeout=TIMEOUT_S, max_retries=0, serializer=OrjsonSerializer()
    )
    return client, plain


@contextmanager
def answers(what: str) -> Iterator[None]:
    """Translate the client's errors, naming ``what`` was asked for.

    404 is NotFound, 409 Conflict, 400 RejectedByStore; everything else, an index that is read-only because the disk is
    full among it, is StoreUnavailable.
    """
    try:
        yield
    except SerializationError:
        raise RecordError(f"{what}: text that is not Unicode", step="store") from None
    except TransportError as error:
        raise StoreUnavailable(f"{what}: {error.message}", step="store") from None
    except ApiError as error:
        raise _translated(what, error) from None


def _translated(what: str, error: ApiError) -> NotFound | Conflict | RejectedByStore | StoreUnavailable:
    if error.status_code == 404:
        return NotFound(f"no {what}", step="store")
    if error.status_code == 409:
        return Conflict(f"{what} was changed meanwhile", step="store")
    if error.status_code == 400:
        return RejectedByStore(f"{what}: {reason(error.body)}", step="store")
    return StoreUnavailable(f"{what}: {error.status_code} {reason(error.body)}", step="store")


def reason(body: object) -> str:
    """Return the reason in the body of an error, as one line of bounded length."""
    error = body.get("error") if isinstance(body, dict) else body
    text = f"{error.get('type')}: {error.get('reason')}" if isinstance(error, dict) else str(error)
    return text[:1000]


class Unchanged(TypedDict):
    """Conditions of a write: the document is still the one that was read."""

    if_seq_no: int
    if_primary_term: int


def split_version(version: str) -> Unchanged:
    """Return the conditions of a write from a version ``seq_no/primary_term``; one that is none never matches."""
    seq_no, _, term = version.partition("/")
    if not (seq_no.isascii() and seq_no.isdigit() and term.isascii() and term.isdigit() and len(version) < 40):
        raise Conflict("the document was changed meanwhile", step="store")
    return Unchanged(if_seq_no=int(seq_no), if_primary_term=int(term))
