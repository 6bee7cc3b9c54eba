"""Topics of a real Kafka."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import structlog
from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from ingest.intake import source_of
from ingest.pollers import Batch
from ingest.pollers.kafka import KafkaFeed
from tests.ingest.running import events, linux, running
from wardwatch.errors import SettingsError, Unavailable
from wardwatch.settings import CollectorSettings, SourceSettings
from wardwatch.testing.kafka import KafkaServer
from wardwatch.testing.ports import free_port, wait_until

pytestmark = pytest.mark.kafka
_topics = count()


class Hospital:
    """A Kafka of the hospital's own, as its systems write it."""

    def __init__(self, url: str) -> None:
        self._servers = url.removeprefix("kafka://")
        self.url = url

    def topic(self, partitions: int = 1, **configs: str) -> str:
        name = f"hospital-{next(_topics)}"
        with self._admin() as admin:
            options = {
                "num_partitions": partitions,
                "configs": {key.replace("_", "."): configs[key] for key in configs},
            }
            admin.create_topics({name: options}, wait_for_metadata=True)
        return name

    def write(self, topic: str, *values: bytes | None, partition: int = 0, **options: Any) -> None:
        producer = KafkaProducer(bootstrap_servers=self._servers, proxy_url="direct://", **options)
        sent = [producer.send(topic, value=value, key=b"key", partition=partition) for value in values]
        for one in sent:
            one.get(timeout=30)
        producer.close()

    def delete_before(self, topic: str, offset: int) -> None:
        """Delete records as retention does."""
        with self._admin() as admin:
            admin.delete_records({TopicPartition(topic, 0): offset})

    def make_again(self, topic: str) -> None:
        with self._admin() as admin:
            admin.delete_topics([topic])
            wait_until(lambda: topic not in admin.list_topics(), what="the topic deleted")
            admin.create_topics({topic: {"num_partitions": 1}}, wait_for_metadata=True)

    def _admin(self) -> Any:
        return closing(KafkaAdminClient(bootstrap_servers=self._servers, proxy_url="direct://"))

    def settings(self, *topics: str) -> SourceSettings:
        return SourceSettings(parser="linux", transport="kafka", url=f"{self.url}/{','.join(topics)}")

    def feed(self, *topics: str) -> KafkaFeed:
        return KafkaFeed(source_of(self.settings(*topics), CollectorSettings(tenant="renai")))


@pytest.fixture
def hospital(kafka: str) -> Hospital:
    return Hospital(kafka)


def read(feed: KafkaFeed, number: int, cursor: str = "") -> list[Batch]:
    """Return batches until there are so many records, as a poller takes them."""
    found: list[Batch] = []
    for batch in feed.batches(cursor):
        found.append(batch)
        if sum(len(each.records) for each in found) >= number:
            break
    feed.close()
    return found


def positions(batches: Sequence[Batch]) -> list[str]:
    return [record.position for batch in batches for record in batch.records]


def test_the_records_of_all_topics_become_events_and_tombstones_are_filtered(
    hospital: Hospital, tmp_path: Path
) -> None:
    one, two = hospital.topic(), hospital.topic(partitions=3)
    hospital.write(one, linux(1), None, linux(2))
    hospital.write(two, linux(3), partition=2)
    with running(tmp_path, hospital.settings(one, two)) as site:
        wait_until(lambda: site.counts("linux") == (4, 3, 1, 0) and site.settled(), what="all settled")
        hospital.write(two, linux(4), partition=1)
        wait_until(lambda: site.counts("linux") == (5, 4, 1, 0) and site.settled(), what="the next")
        assert site.listeners[0].problem == ""
    with running(tmp_path, hospital.settings(one, two)) as site:  # goes on where it was
        hospital.write(one, linux(5))
        wait_until(lambda: len(events(site.settings)) == 5, what="the last")
        assert site.counts("linux") == (6, 5, 1, 0)


def test_a_position_names_topic_partition_and_offset_and_is_the_same_when_it_is_read_again(hospital: Hospital) -> None:
    topic = hospital.topic()
    hospital.write(topic, linux(1), linux(2))
    first = read(hospital.feed(topic), 2)
    assert positions(first) == [f"{topic}/0@0", f"{topic}/0@1"]
    assert positions(read(hospital.feed(topic), 2)) == positions(first)
    hospital.write(topic, linux(3))
    assert positions(read(hospital.feed(topic), 1, first[-1].cursor)) == [f"{topic}/0@2"]


@pytest.mark.parametrize("compression", ["gzip", "lz4", "snappy", "zstd"])
def test_compressed_and_large_records_are_read_and_too_large_ones_are_cut(hospital: Hospital, compression: str) -> None:
    topic = hospital.topic(max_message_bytes=str(2**23))
    values = [b"a" * 10, b"b" * 900_000, b"c" * (3 * 2**20), b"d"]
    hospital.write(topic, *values, compression_type=compression, max_request_size=2**23)
    batches = read(hospital.feed(topic), len(values))
    sizes = [len(record.data) for batch in batches for record in batch.records]
    assert sizes == [10, 900_000, 2**20, 1]


def test_a_codec_that_is_not_installed_is_named_and_nothing_is_passed_over(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    topic = hospital.topic()
    hospital.write(topic, linux(1) * 100, compression_type="zstd")  # a short one is sent as it is
    feed = hospital.feed(topic)
    with monkeypatch.context() as without:
        without.setattr("kafka.codec.zstd", None)
        with pytest.raises(Unavailable, match="zstd"):
            read(feed, 1)
    assert positions(read(feed, 1)) == [f"{topic}/0@0"]


def test_what_retention_deleted_while_the_collector_was_away_is_told(hospital: Hospital) -> None:
    topic = hospital.topic()
    hospital.write(topic, *map(linux, range(3)))
    cursor = read(hospital.feed(topic), 3)[-1].cursor
    hospital.write(topic, *map(linux, range(3, 10)))
    hospital.delete_before(topic, 8)
    feed = hospital.feed(topic)
    with structlog.testing.capture_logs() as logs:
        assert positions(read(feed, 2, cursor)) == [f"{topic}/0@8", f"{topic}/0@9"]
    assert feed.state() == {"lost": 5}
    assert [(line["event"], line["topic"], line["records"]) for line in logs] == [("records_lost", topic, 5)]


def test_what_retention_deletes_while_the_spool_is_full_is_told(hospital: Hospital) -> None:
    topic = hospital.topic()
    hospital.write(topic, linux(0))
    feed = hospital.feed(topic)
    batches = feed.batches("")
    while not next(batches).records:
        pass
    hospital.write(topic, *map(linux, range(1, 10)))
    hospital.delete_before(topic, 7)
    found: list[str] = []
    while len(found) < 3:
        found += positions([next(batches)])
    feed.close()
    assert found == [f"{topic}/0@{number}" for number in (7, 8, 9)]
    assert feed.state() == {"lost": 6}


def test_a_topic_that_was_made_again_is_read_from_its_beginning(hospital: Hospital) -> None:
    topic = hospital.topic()
    hospital.write(topic, *map(linux, range(5)))
    cursor = read(hospital.feed(topic), 5)[-1].cursor
    hospital.make_again(topic)
    hospital.write(topic, linux(7))
    feed = hospital.feed(topic)
    assert positions(read(feed, 1, cursor)) == [f"{topic}/0@0"]
    assert feed.state() == {"lost": 0}


def test_a_broker_that_is_killed_and_started_again_costs_nothing(
    kafka_server: KafkaServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pollers.FIRST_WAIT_S", 0.1)
    monkeypatch.setattr("ingest.pollers.LONGEST_WAIT_S", 0.2)
    hospital = Hospital(kafka_server.url)
    topic = hospital.topic()
    hospital.write(topic, *map(linux, range(50)))
    with running(tmp_path, hospital.settings(topic)) as site:
        wait_until(lambda: site.counts("linux")[0] == 50, what="the first")
        kafka_server.kill()
        wait_until(lambda: site.listeners[0].problem, what="the problem")
        kafka_server.start()
        hospital.write(topic, *map(linux, range(50, 60)))
        wait_until(lambda: site.counts("linux")[0] == 60 and site.settled(), what="the rest")
        assert site.listeners[0].problem == ""
        assert len({event["event.id"] for event in events(site.settings)}) == 60


def test_a_missing_topic_and_an_absent_broker_are_problems_that_name_them(hospital: Hospital) -> None:
    with pytest.raises(Unavailable, match="no topic nowhere"):
        next(hospital.feed(hospital.topic(), "nowhere").batches(""))
    away = Hospital(f"kafka://127.0.0.1:{free_port()}")
    with pytest.raises(Unavailable):
        next(away.feed("any").batches(""))


def test_a_damaged_cursor_is_a_problem_with_a_remedy(hospital: Hospital) -> None:
    with pytest.raises(Unavailable, match="move it away"):
        next(hospital.feed(hospital.topic()).batches("[1]"))


@pytest.mark.parametrize(
    "url", ["kafka://host:9092", "kafka://host/topic", "http://host:9092/topic", "kafka://a:b@h:1/t"]
)
def test_a_url_without_brokers_or_topics_is_refused_at_start(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        KafkaFeed(
            source_of(SourceSettings(parser="linux", transport="kafka", url=url), CollectorSettings(tenant="renai"))
        )
    assert "kafka://host:9092" in refused.value.remedy
