from __future__ import annotations

import gzip
import io
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest import parsers
from ingest.checks import check
from ingest.intake import source_of
from ingest.pollers import s3
from ingest.pollers.s3 import S3Feed
from tests.ingest.running import Running, dead_letters, events, linux, running, settings_of
from wardwatch.errors import SettingsError
from wardwatch.settings import CollectorSettings, SourceSettings
from wardwatch.testing.peers import missing
from wardwatch.testing.ports import free_port, wait_until
from wardwatch.testing.s3 import S3Server


@pytest.fixture(scope="module")
def server() -> Iterator[S3Server]:
    try:
        found = S3Server()
    except SettingsError as error:
        missing(str(error))
    with found:
        yield found


class Bucket:
    def __init__(self, server: S3Server, name: str) -> None:
        self._client = server.client()
        self.name = name
        self._client.create_bucket(Bucket=name)

    def put(self, key: str, *numbers: int) -> None:
        self.write(key, b"".join(linux(number) + b"\n" for number in numbers))

    def write(self, key: str, data: bytes) -> None:
        self._client.put_object(Bucket=self.name, Key=key, Body=data)


@pytest.fixture
def bucket(server: S3Server, request: pytest.FixtureRequest) -> Bucket:
    number = len(server.client().list_buckets()["Buckets"])
    return Bucket(server, f"logs{number}")


def source(server: S3Server, bucket: Bucket, prefix: str = "", **more: Any) -> SourceSettings:
    values = {
        "parser": "linux",
        "transport": "s3",
        "url": f"s3://{bucket.name}/{prefix}",
        "endpoint": server.endpoint,
        "addressing": "path",
        "user": server.user,
        "password": server.password,
        "every_s": 0.1,
    }
    return SourceSettings.model_validate(values | more)


def accepted(site: Running, name: str, number: int) -> None:
    wait_until(lambda: site.counts(name)[0] >= number and site.settled(), what=f"{number} records")
    assert site.counts(name)[0] == number


def ids(site: Running) -> set[str]:
    return {event["event.id"] for event in events(site.settings)}


def test_objects_are_read_once_whether_their_keys_follow_or_precede_those_that_were_read(
    tmp_path: Any, server: S3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("in/2026/03/01/b", 1, 2)
    bucket.write("in/2026/03/01/c.gz", gzip.compress(linux(3)))
    bucket.put("out/a", 4)
    with running(tmp_path, source(server, bucket, "in/")) as site:
        accepted(site, "linux", 3)
        bucket.put("in/2026/03/02/病房 +%41", 5)
        accepted(site, "linux", 4)
    bucket.put("in/2026/03/01/a", 6)
    with running(tmp_path, source(server, bucket, "in/")) as site:
        accepted(site, "linux", 5)
        monkeypatch.setattr(s3, "SWEEP_S", 0)
        bucket.put("in/2026/02/01/z", 7)
        accepted(site, "linux", 6)
        assert len(ids(site)) == 6


def test_an_object_that_is_replaced_is_read_again_and_not_one_that_is_put_again(
    tmp_path: Any, server: S3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "SWEEP_S", 0)
    bucket.put("a", 1)
    with running(tmp_path, source(server, bucket)) as site:
        accepted(site, "linux", 1)
        bucket.put("a", 1)
        bucket.put("b", 2)
        accepted(site, "linux", 2)
        bucket.put("a", 3)
        accepted(site, "linux", 3)
        assert len(ids(site)) == 3


def test_the_events_of_a_file_of_cloudtrail_are_records_of_their_own(
    tmp_path: Any, server: S3Server, bucket: Bucket
) -> None:
    sample = next(iter(parsers.parser("cloudtrail").sample().splitlines()))
    event = orjson.loads(sample)
    event = event.get("Records", [event])[0]
    many = [
        event | {"eventID": str(number), "padding": "x" * 1000} for number in range(1200)
    ]  # beyond one event's limit
    bucket.write("AWSLogs/1/CloudTrail/eu/2026/03/01/x.json.gz", gzip.compress(orjson.dumps({"Records": many})))
    with running(tmp_path, source(server, bucket, "AWSLogs/", parser="cloudtrail")) as site:
        accepted(site, "cloudtrail", 1200)
        assert site.counts("cloudtrail") == (1200, 1200, 0, 0)
        assert len(ids(site)) == 1200


def test_an_object_too_large_and_damaged_gzip_are_dead_lettered_once_and_the_others_are_read(
    tmp_path: Any, server: S3Server, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MAX_WHOLE_BYTES", 2**20)
    monkeypatch.setattr(s3, "SWEEP_S", 0)
    bucket.write("a", bytes(2**20 + 1))
    bucket.write("b.gz", gzip.compress(linux(1))[:-9])
    bucket.put("c", 2)
    with running(tmp_path, source(server, bucket)) as site:
        accepted(site, "linux", 3)
        bucket.put("d", 3)
        accepted(site, "linux", 4)
        reasons = [letter["reason"] for letter in dead_letters(site.settings)]
    assert len(reasons) == 2
    assert "more than 1048576 bytes" in reasons[0]
    assert "gzip that can't be unpacked" in reasons[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"password": "wrong"}, "SignatureDoesNotMatch"),
        ({"url": "s3://none/"}, "NoSuchBucket"),
        ({"endpoint": f"http://127.0.0.1:{free_port()}"}, "Could not connect"),
    ],
)
def test_what_the_service_refuses_is_shown_without_the_secret(
    tmp_path: Any, server: S3Server, bucket: Bucket, change: dict[str, Any], problem: str
) -> None:
    with running(tmp_path, source(server, bucket, **change)) as site:
        wait_until(lambda: problem in site.listeners[0].problem, what=problem)
        assert server.password not in site.listeners[0].problem


@pytest.mark.parametrize("change", [{"url": "https://a/b"}, {"url": "s3:///a"}, {"user": ""}, {"endpoint": "nowhere"}])
def test_settings_that_cannot_work_are_refused_at_start(change: dict[str, Any]) -> None:
    values = {"parser": "linux", "transport": "s3", "url": "s3://logs/", "user": "key", "password": "hush"}
    found = source_of(SourceSettings.model_validate(values | change), CollectorSettings())
    with pytest.raises(SettingsError) as refused:
        S3Feed(found, lambda *_: None)
    assert "hush" not in str(refused.value)


class Simulated:
    """The part of botocore's client that the feed uses, over objects whose times the test decides."""

    def __init__(self) -> None:
        self.objects: dict[str, tuple[bytes, float]] = {}
        self.now = 1_000_000.0

    def put(self, key: str, data: bytes, age_s: float) -> None:
        self.objects[key] = (data, self.now - age_s)

    def list_objects_v2(self, *, Bucket: str, Prefix: str, MaxKeys: int, StartAfter: str = "") -> Any:  # noqa: N803 its names
        keys = sorted((key for key in self.objects if key > StartAfter), key=str.encode)
        found = [
            {
                "Key": key,
                "ETag": f'"{hash(self.objects[key][0])}"',
                "Size": len(self.objects[key][0]),
                "LastModified": datetime.fromtimestamp(self.objects[key][1], UTC),
            }
            for key in keys[:MaxKeys]
        ]
        date = datetime.fromtimestamp(self.now, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
        headers = {"ResponseMetadata": {"HTTPHeaders": {"date": date}}}
        return headers | {"Contents": found, "IsTruncated": len(keys) > MaxKeys}

    def get_object(self, *, Bucket: str, Key: str, IfMatch: str) -> Any:  # noqa: N803 its names
        return {"Body": io.BytesIO(self.objects[Key][0])}


Step = tuple[str, int]
steps = st.lists(
    st.tuples(st.sampled_from(["put", "look", "sweep", "restart", "late"]), st.integers(0, 99)), min_size=1, max_size=60
)


@given(steps)
@settings(max_examples=200, deadline=None)
def test_every_object_is_read_once_in_whatever_order_keys_and_times_come(steps: list[Step]) -> None:
    """Limits are small, so that sweeps end half-way; an upload lasts half a day."""
    simulated = Simulated()
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"MAX_LISTED": 3, "_SAVE_EACH": 2, "_PAGE": 2}.items():
            patch.setattr(s3, name, value)
        patch.setattr(s3, "_client", lambda _: simulated)
        written, read, cursor = list[bytes](), list[bytes](), ""
        feed = _feed()
        for number, (step, key) in enumerate([*steps, *[("sweep", 0)] * 40]):
            simulated.now += 3600
            match step:
                case "put" | "late":
                    data = b"%d" % number
                    simulated.put(f"{key:02}-{number}", data, 43_200 if step == "late" else 0)
                    written.append(data)
                    continue
                case "restart":
                    feed = _feed()
                case "sweep":
                    feed._swept = -s3.SWEEP_S
            for batch in feed.batches(cursor):
                read += [record.data for record in batch.records]
                cursor = batch.cursor
        assert sorted(read) == sorted(written)


def _feed() -> S3Feed:
    values = {"parser": "generic_syslog", "transport": "s3", "url": "s3://logs/", "user": "key", "password": "hush"}
    return S3Feed(source_of(SourceSettings.model_validate(values), CollectorSettings()), lambda *_: None)


def test_check_reads_an_object_and_says_what_is_wrong(tmp_path: Any, server: S3Server, bucket: Bucket) -> None:
    bucket.put("in/a", 1)
    sources = [source(server, bucket, "in/"), source(server, bucket, "out/"), source(server, bucket, password="wrong")]
    found = [one for one in check(settings_of(tmp_path, *sources)) if one.part.startswith("linux s3")]
    assert [one.message for one in found[:2]] == ["in/a can be read", "no object yet"]
    assert (found[2].state, "SignatureDoesNotMatch" in found[2].message) == ("FAILS", True)
