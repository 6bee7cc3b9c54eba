"""S3: objects below a prefix, read whole, plain or gzip, from any service that speaks the protocol.

Keys need not sort by time, and an object may appear after younger ones. So what counts is when an object was written: a
sweep lists everything, and takes what was written behind the horizon and is not remembered. The horizon follows the
youngest object at a distance of OVERLAP_S. Between sweeps a look lists only from the first key that is remembered,
which is little where keys begin with a date.
Source: Amazon S3 API reference, ListObjectsV2 (keys in order of their UTF-8 bytes, ``StartAfter``) and GetObject.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from email.utils import parsedate_to_datetime
from itertools import islice
from typing import Any

import msgspec
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.session import Session

from ingest import files
from ingest.files import MAX_WHOLE_BYTES
from ingest.intake import Source
from ingest.parsers import Record
from ingest.pollers import Batch
from ingest.pollers.limit import limited
from wardwatch.errors import ParseError, SettingsError, Unavailable
from wardwatch.text import safe_text

ANSWER_S = 5.0
READ_S = 900.0
OVERLAP_S = 86_400.0
SWEEP_S = 3600.0
MAX_LISTED = 1_000_000
MAX_REMEMBERED = 50_000
_MORE = 1000  # by which it may be more before the oldest are dropped
_SAVE_EACH = 100
_PAGE = 1000
_CLOCKS_S = 60.0
_PIECE_BYTES = 2**20
_EXAMPLE = "s3://bucket/prefix/"


class _Object(msgspec.Struct, frozen=True):
    """One object as listed; ``written`` is in seconds since 1970."""

    key: str
    etag: str
    size: int
    written: float


class _Gone(Exception):
    """The object was deleted or replaced since it was listed."""


class _Unreadable(Exception):
    """One object can't be read now: it is tried again."""


class _State(msgspec.Struct):
    """The cursor; times are the server's, in seconds since 1970.

    ``after`` is the key that a sweep has come to which is not at its end, and ``began`` its begin; ``dropped`` is when
    the youngest object was written that had to be forgotten.
    """

    horizon: float = 0.0
    youngest: float = 0.0
    began: float = 0.0
    dropped: float = 0.0
    after: str = ""
    seen: dict[str, tuple[str, float]] = {}

    def is_new(self, found: _Object) -> bool:
        return found.written > self.horizon and self.seen.get(found.key, ("",))[0] != found.etag

    def remember(self, found: _Object) -> None:
        self.seen[found.key] = (found.etag, found.written)
        self.youngest = max(self.youngest, min(found.written, self.began))
        if len(self.seen) > MAX_REMEMBERED + _MORE:
            by_age = sorted(self.seen.items(), key=lambda one: one[1][1])
            self.dropped = max(self.dropped, by_age[-MAX_REMEMBERED - 1][1][1])
            self.seen = dict(by_age[-MAX_REMEMBERED:])

    def swept(self) -> None:
        """Move the horizon: all that was written before the sweep has been listed."""
        self.after = ""
        self.horizon = max(self.horizon, min(self.began, max(self.youngest - OVERLAP_S, self.dropped)))
        self.dropped = 0.0
        self.seen = {key: one for key, one in self.seen.items() if one[1] > self.horizon}

    def encoded(self) -> str:
        return msgspec.json.encode(self).decode()


class S3Feed:
    """The objects below the url's prefix; ``refuse`` takes what can't be cut into records."""

    def __init__(self, source: Source, refuse: Callable[[Record, str], None]) -> None:
        settings = source.settings
        scheme, _, place = settings.url.partition("://")
        self._bucket, _, self._prefix = place.partition("/")
        if scheme != "s3" or not self._bucket or not settings.user or not settings.secret():
            remedy = f'set url = "{_EXAMPLE}", user (the access key) and password (the secret key)'
            raise SettingsError("an S3 source needs them", step="collector", record=source.name, remedy=remedy)
        self._source = source
        self._refuse = refuse
        self._client = _client(source)
        self._swept = -SWEEP_S
        self._read = 0

    def batches(self, cursor: str) -> Iterator[Batch]:
        """Yield the records of new objects; all keys are listed once in SWEEP_S and after a start."""
        state = msgspec.json.decode(cursor, type=_State) if cursor else _State()
        began = time.monotonic()
        if state.after or began - self._swept >= SWEEP_S:
            problems = yield from self._sweep(state)
            self._swept = began if not state.after and not problems else self._swept
        else:
            problems = yield from self._take(self._listed(min(state.seen, default="")), state, sweeping=False)
        yield Batch((), state.encoded())
        if problems:
            raise Unavailable(problems[0], step="s3")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def state(self) -> dict[str, int]:
        """Return how many objects were read."""
        return {"objects": self._read}

    def probe(self) -> str:
        """Tell the first key below the prefix, when it can be read; raises Unavailable."""
        found = next(self._listed(""), None)
        if found is None:
            return "no object yet"
        with _told(self._bucket):
            self._client.head_object(Bucket=self._bucket, Key=found.key)
        return f"{safe_text(found.key, limit=100)} can be read"

    def _sweep(self, state: _State) -> Generator[Batch, None, list[str]]:
        """Go on with a sweep, or begin one; it is complete when ``state.after`` is ""."""
        if not state.after:
            state.began = self._time()
        listed = self._listed(state.after)
        problems = yield from self._take(islice(listed, MAX_LISTED), state, sweeping=True)
        if next(listed, None) is None:
            if not problems:
                state.swept()
            state.after = ""
        return problems

    def _take(self, listed: Iterator[_Object], state: _State, *, sweeping: bool) -> Generator[Batch, None, list[str]]:
        """Read what is new; return what is wrong with single objects. Those are tried again."""
        cursor, problems = state.encoded(), list[str]()
        for number, found in enumerate(listed, 1):
            if state.is_new(found):
                try:
                    for batch in files.batches(self._records(found)):
                        yield Batch(batch, cursor)
                    state.remember(found)
                    self._read += 1
                except _Gone:
                    pass
                except _Unreadable as error:
                    problems.append(f"{safe_text(found.key, limit=200)}: {error}")
            state.after = found.key if sweeping else ""
            if number % _SAVE_EACH == 0:
                cursor = state.encoded()
                yield Batch((), cursor)
        return problems

    def _listed(self, after: str) -> Iterator[_Object]:
        """Yield the objects whose keys follow one, in their order; raises Unavailable."""
        while True:
            page = self._page(after, _PAGE)
            for item in page.get("Contents", ()):
                key, written = str(item["Key"]), item["LastModified"].timestamp()
                if key.encode() <= after.encode():
                    raise Unavailable("the list of keys does not advance", step="s3")
                after = key
                if key.startswith(self._prefix) and item["Size"]:
                    yield _Object(key, str(item["ETag"]), int(item["Size"]), written)
            if not page.get("IsTruncated"):
                return
            if not page.get("Contents"):
                raise Unavailable("the list of keys does not advance", step="s3")

    def _page(self, after: str, size: int) -> Any:
        with _told(self._bucket):
            start = {"StartAfter": after} if after else {}
            return self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=size, **start)

    def _time(self) -> float:
        """Return the server's time, less what its clocks may differ among themselves."""
        date = self._page("", 1)["ResponseMetadata"]["HTTPHeaders"].get("date", "")
        return parsedate_to_datetime(date).timestamp() - _CLOCKS_S

    def _records(self, found: _Object) -> Iterator[Record]:
        etag = found.etag.strip('"')
        place = f"{found.key}:{etag}"
        try:
            return files.whole_records(self._source.parser, files.unpack(self._contents(found)), place)
        except ParseError as error:
            self._refuse(Record(place.encode(), position=f"{place}@rest"), error.reason)
            return iter(())

    def _contents(self, found: _Object) -> bytes:
        """Return an object's bytes; raises ParseError for too many, Unavailable, _Gone and _Unreadable."""
        if found.size > MAX_WHOLE_BYTES:
            raise ParseError(f"more than {MAX_WHOLE_BYTES} bytes in an object", step="s3")
        data = bytearray()
        with _told(self._bucket), closing(self._opened(found)) as body, limited(READ_S, body.close):
            while len(data) <= found.size and (part := body.read(_PIECE_BYTES)):
                data += part
        if len(data) != found.size:
            raise _Unreadable("it is not as long as the server says")
        return bytes(data)

    def _opened(self, found: _Object) -> Any:
        try:
            answer = self._client.get_object(Bucket=self._bucket, Key=found.key, IfMatch=found.etag)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status in (404, 412):
                raise _Gone from None
            if status == 403:
                raise _Unreadable(_why(error)) from None
            raise
        return answer["Body"]


@contextmanager
def _told(bucket: str) -> Iterator[None]:
    """Turn the library's errors into Unavailable."""
    try:
        yield
    except (BotoCoreError, HTTPClientError, ClientError) as error:
        raise Unavailable(f"s3://{bucket}: {_why(error)}", step="s3") from None


def _why(error: Exception) -> str:
    answer = getattr(error, "response", {}).get("Error", {})
    told = f"{answer.get('Code')} {answer.get('Message', '')}" if answer else str(error)
    return safe_text(told, limit=200)


def _client(source: Source) -> Any:
    settings = source.settings
    config = Config(
        connect_timeout=ANSWER_S,
        read_timeout=ANSWER_S,
        retries={"total_max_attempts": 2},
        s3={"addressing_style": settings.addressing},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",  # other makers' services know none
    )
    try:
        return Session().create_client(
            "s3",
            region_name=settings.region or "us-east-1",
            endpoint_url=settings.endpoint or None,
            aws_access_key_id=settings.user,
            aws_secret_access_key=settings.secret(),
            verify=str(settings.authorities) if settings.authorities else None,
            config=config,
        )
    except (ValueError, BotoCoreError) as error:
        remedy = 'write endpoint = "https://oss-cn-hangzhou.aliyuncs.com"'
        raise SettingsError(str(error), step="collector", record=source.name, remedy=remedy) from None
