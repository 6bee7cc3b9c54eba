"""The outlet of a collector that reaches its provider by HTTPS: records go to a relay, which writes them to the bus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from wardwatch.bus import FLUSH_S, NO_ACCESS, check_size
from wardwatch.bus.relay import wire
from wardwatch.bus.tls import client_context
from wardwatch.errors import BusRefused, BusUnavailable, RecordError, SettingsError
from wardwatch.event import Document
from wardwatch.settings import BusAccessSettings
from wardwatch.topics import Topic

_CONNECT_S = 5.0
_ASK_S = 10.0
_REASON_CHARACTERS = 300


class Relay:
    """``https://host:port``, shown our certificate; raises SettingsError for a wrong URL or access."""

    def __init__(self, url: str, access: BusAccessSettings = NO_ACCESS) -> None:
        parts = urlsplit(url)
        if not parts.hostname or parts.username or parts.path.strip("/") or parts.query:
            raise SettingsError("bus is no address of a relay", step="settings", remedy="https://host:port")
        if not access.certificate:
            remedy = "set bus_access.certificate and bus_access.key"
            raise SettingsError("a relay knows collectors by certificate only", step="settings", remedy=remedy)
        if access.user:
            raise SettingsError("a relay knows no users", step="settings", remedy="leave bus_access.user out")
        client_context(access)
        self.url = url.rstrip("/")
        self._access = access

    def ensure_topics(self, topics: Iterable[Topic]) -> None:
        """Ask the relay to have our topics ready; raises BusRefused where they are not those of our certificate."""
        answer = self._ask()
        missing = sorted({topic.name for topic in topics}.difference(answer.topics))
        if missing:
            reason = f"our certificate is that of {answer.tenant}, which may not write to {', '.join(missing)}"
            raise BusRefused(reason, step="relay", record=self.url, remedy="set collector.tenant or the certificate")

    def producer(self) -> RelayProducer:
        """Return a new producer."""
        return RelayProducer(self.url, self._access)

    def may_write(self, topic: str) -> bool | None:
        """Tell whether the topic is one of our certificate's tenant."""
        return topic in self._ask().topics

    def ping(self) -> None:
        """Return when the relay, and the bus behind it, answer."""
        self._ask()

    def configuration(self) -> Document | None:
        """Return the row of our tenant's configuration, None where there is none; raises BusUnavailable."""
        return self._get(wire.CONFIG, _Configuration).row

    def close(self) -> None:
        """Do nothing: every call and producer closes its own connection."""

    def _ask(self) -> _Tenant:
        return self._get(wire.TENANT, _Tenant)

    def _get(self, page: str, kind: type[_Answer]) -> _Answer:
        connection = Connection(self.url, self._access)
        try:
            return msgspec.json.decode(connection.request("GET", page, timeout_s=_ASK_S), type=kind)
        except msgspec.MsgspecError:
            raise BusUnavailable("what answers there is no relay", step="relay", record=self.url) from None
        finally:
            connection.close()


class _Tenant(msgspec.Struct, frozen=True):
    tenant: str
    topics: list[str]


class _Configuration(msgspec.Struct, frozen=True):
    row: Document | None


_Answer = TypeVar("_Answer", _Tenant, _Configuration)


class RelayProducer:
    """Collects records and sends them in batches; each is durable on the provider's bus when the relay answers 200."""

    def __init__(self, url: str, access: BusAccessSettings) -> None:
        self._connection = Connection(url, access)
        self._batch: list[wire.WireRecord] = []
        self._size = 0
        self._refused: RecordError | None = None

    def send(
        self, topic: str, value: bytes | None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        """Take one record; a batch that is full is sent."""
        headers = headers or {}
        size = check_size(topic, value, key, headers)
        if self._batch and (self._size + size > wire.BATCH_BYTES or len(self._batch) == wire.BATCH_RECORDS):
            self._post(FLUSH_S)
        self._batch.append(wire.WireRecord(topic, value, key, dict(headers)))
        self._size += size

    def flush(self, timeout_s: float = FLUSH_S) -> None:
        """Send what is left; raises BusUnavailable, and RecordError where the relay refused one of all the records."""
        if self._batch:
            self._post(timeout_s)
        refused, self._refused = self._refused, None
        if refused is not None:
            raise refused

    def close(self) -> None:
        """Drop what was not flushed."""
        self._take()
        self._connection.close()

    def _post(self, timeout_s: float) -> None:
        body = wire.pack(self._take())
        try:
            self._connection.request("POST", wire.RECORDS, body, timeout_s=timeout_s)
        except RecordError as error:
            self._refused = error  # of a record before the one that is sent now: ``flush`` says it
        except BusUnavailable:
            self._refused = None
            raise

    def _take(self) -> list[wire.WireRecord]:
        batch, self._batch, self._size = self._batch, [], 0
        return batch


class Connection:
    """One connection, opened at the first request and anew, with the files as they are then, after each failure."""

    def __init__(self, url: str, access: BusAccessSettings) -> None:
        self._url = url
        self._access = access
        self._client: httpx.Client | None = None

    def request(self, method: str, path: str, body: bytes = b"", *, timeout_s: float) -> bytes:
        """Return the body of a 200; raises RecordError, BusRefused or BusUnavailable for all else.

        ``timeout_s`` is how long the relay may take for its answer once it has the request, whose bytes may be slow.
        """
        timeout = httpx.Timeout(timeout_s, connect=_CONNECT_S)
        headers = {"Content-Type": wire.MEDIA_TYPE} if body else {}
        try:
            answer = self._opened().request(method, path, content=body, headers=headers, timeout=timeout)
        except httpx.ProxyError as error:
            self.close()
            raise BusRefused(f"proxy: {error}", step="relay", record=self._url, remedy="bus_access.proxy") from None
        except httpx.HTTPError as error:
            self.close()
            raise self._failure(error) from None
        if answer.status_code == 200:
            return answer.content
        if answer.status_code in (401, 403):
            self.close()  # the next connection shows the certificate that lies there then
        raise self._refusal(answer)

    def close(self) -> None:
        """Close it; the next request opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _opened(self) -> httpx.Client:
        if self._client is None:
            proxy = self._access.proxy.get_secret_value() or None
            try:
                context = client_context(self._access)
            except SettingsError as error:  # a file that is being replaced
                raise BusUnavailable(error.reason, step="relay", record=self._url) from None
            self._client = httpx.Client(base_url=self._url, verify=context, proxy=proxy)
        return self._client

    def _failure(self, error: httpx.HTTPError) -> BusUnavailable:
        reason = str(error) or type(error).__name__
        if "SSL:" in reason:
            return BusRefused(f"TLS: {reason}", step="relay", record=self._url, remedy="see bus_access")
        return BusUnavailable(reason, step="relay", record=self._url)

    def _refusal(self, answer: httpx.Response) -> RecordError | BusUnavailable:
        reason = f"{answer.status_code}: {_reason(answer)}"
        match answer.status_code:
            case 413 | 422:
                return RecordError(reason, step="relay", record=self._url)
            case 401 | 403:
                return BusRefused(reason, step="relay", record=self._url, remedy="ask the provider")
            case _:
                return BusUnavailable(reason, step="relay", record=self._url)


def _reason(answer: httpx.Response) -> str:
    try:
        text = str(msgspec.json.decode(answer.content, type=dict[str, str]).get("error", ""))
    except msgspec.MsgspecError:
        text = answer.reason_phrase
    return text[:_REASON_CHARACTERS]
