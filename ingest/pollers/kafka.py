"""Topics of the hospital's own Kafka: the value of a record is one of ours, and a tombstone is filtered.

Offsets are in our cursor, not in a consumer group: the hospital needs to grant no more than reading the topics.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import orjson
from pydantic import SecretStr, ValidationError

from ingest.framing import MAX_FRAME_BYTES
from ingest.intake import Source
from ingest.parsers import Record
from ingest.pollers import Batch
from wardwatch.bus import Partition
from wardwatch.bus import Record as Message
from wardwatch.bus.kafka import KafkaBus
from wardwatch.bus.kafka.follower import KafkaFollower
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.settings import BusAccessSettings, SourceSettings

POLL_S = 1.0
_BATCH = 500
_FORM = "url = kafka://host:9092,host:9092/topic,topic, with TLS kafkas://…"


class KafkaFeed:
    """Follows the topics of a URL; raises SettingsError."""

    def __init__(self, source: Source) -> None:
        self._bus, self._topics = place_of(source.settings)
        self._follower: KafkaFollower | None = None
        self._lost = 0

    def batches(self, cursor: str) -> Iterator[Batch]:
        """Yield records as they come, for ever; an empty batch while none does."""
        if self._follower is None:
            missing = self.missing()
            if missing:
                raise Unavailable(f"no topic {', '.join(missing)}", step="kafka")
            self._follower = self._bus.follower(self._topics, _offsets(cursor))
        follower = self._follower
        try:
            while True:
                lost = follower.lost
                found = follower.poll(max_records=_BATCH, timeout_s=POLL_S)
                self._lost += follower.lost - lost
                cursor = _cursor(follower.offsets) if found else cursor
                yield Batch([_record(message) for message in found], cursor)
        finally:
            self.close()  # the next look begins at the cursor: what was polled last may not be in the spool

    def missing(self) -> list[str]:
        """Return the topics that do not exist; raises Unavailable."""
        known = self._bus.topics()
        return [topic for topic in self._topics if topic not in known]

    def close(self) -> None:
        """Disconnect."""
        follower, self._follower = self._follower, None
        if follower is not None:
            with suppress(Unavailable):  # it is gone already
                follower.close()

    def state(self) -> dict[str, int]:
        """Return how many records retention deleted before they were read."""
        return {"lost": self._lost}


def place_of(settings: SourceSettings) -> tuple[KafkaBus, tuple[str, ...]]:
    """Return the brokers and topics of a source's URL; raises SettingsError."""
    found = urlsplit(settings.url)
    topics = tuple(dict.fromkeys(topic for topic in found.path.strip("/").split(",") if topic))
    if found.scheme not in ("kafka", "kafkas") or "@" in found.netloc or not topics:
        reason = "url names no topics of a Kafka"
        raise SettingsError(reason, step="collector", record=settings.parser, remedy=_FORM)
    try:
        return KafkaBus(f"{found.scheme}://{found.netloc}", _access(settings)), topics
    except SettingsError as error:
        raise SettingsError(error.reason, step="collector", record=settings.parser, remedy=_FORM) from None


def _access(settings: SourceSettings) -> BusAccessSettings:
    try:
        return BusAccessSettings(
            authorities=settings.authorities,
            certificate=settings.certificate,
            key=settings.key,
            user=settings.user,
            password=SecretStr(settings.secret()),
            mechanism=settings.mechanism,
        )
    except ValidationError as error:
        raise SettingsError(error.errors()[0]["msg"], step="collector") from None


def _record(message: Message) -> Record:
    return Record((message.value or b"")[:MAX_FRAME_BYTES], position=message.position)


def _cursor(offsets: dict[Partition, int]) -> str:
    return orjson.dumps({f"{topic}/{number}": at for (topic, number), at in sorted(offsets.items())}).decode()


def _offsets(cursor: str) -> dict[Partition, int]:
    if not cursor:
        return {}
    try:
        places = ((*name.rpartition("/"), int(at)) for name, at in orjson.loads(cursor).items())
        return {(topic, int(number)): at for topic, _, number, at in places}
    except (ValueError, AttributeError, TypeError):
        raise Unavailable("the cursor file is damaged: move it away to ask for everything again") from None
