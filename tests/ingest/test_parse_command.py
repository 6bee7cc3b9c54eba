"""``wardwatch parse`` as a person runs it."""

from __future__ import annotations

import subprocess
import sys
from itertools import accumulate
from pathlib import Path

import orjson
import pytest

from ingest.parsers import PARSERS, parser
from ingest.reading import BLOCK_BYTES, blocks, located

SAMPLES = Path(__file__).parents[2] / "ingest" / "samples"


def parse(*arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "wardwatch", "parse", *arguments]
    return subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)


def events(done: subprocess.CompletedProcess[bytes]) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("windows", "windows.ndjson"),
        ("linux", "linux.log"),
        ("huawei_usg", "huawei_usg.log"),
        ("mysql_audit", "mysql_audit.csv"),
    ],
)
def test_every_record_of_a_sample_becomes_a_scrubbed_event(source: str, file: str) -> None:
    done = parse("--source", source, str(SAMPLES / file))
    assert (done.returncode, done.stderr) == (0, b"")
    found = events(done)
    assert len(found) == len((SAMPLES / file).read_bytes().splitlines())
    assert all(event["event.module"] == source.partition("_")[0] and event["privacy.policy_version"] for event in found)
    assert len({event["event.id"] for event in found}) == len(found)


def test_events_have_the_same_ids_when_a_file_is_read_again() -> None:
    first, second = (events(parse("--source", "linux", str(SAMPLES / "linux.log"))) for _ in range(2))
    assert [event["event.id"] for event in first] == [event["event.id"] for event in second]


def test_a_record_that_cannot_be_read_is_named_and_the_others_are_printed() -> None:
    good = (SAMPLES / "mysql_audit.csv").read_bytes().splitlines()[:2]
    done = parse("--source", "mysql_audit", "-", data=good[0] + b"\nsecret words\n" + good[1] + b"\n")
    assert done.returncode == 1
    assert len(events(done)) == 2
    error = done.stderr.decode()
    assert error.startswith(f"stdin: record 2 (byte offset {len(good[0]) + 1}): ")
    assert error.count("\n") == 1
    assert "secret" not in error


@pytest.mark.parametrize(
    ("source", "file"), [("windows", "windows.ndjson"), ("linux", "linux.log"), ("mysql_audit", "mysql_audit.csv")]
)
def test_a_long_file_is_read_in_parts_and_every_record_keeps_its_place(source: str, file: str, tmp_path: Path) -> None:
    sample = (SAMPLES / file).read_bytes()
    times = 2 * BLOCK_BYTES // len(sample) + 2
    records = sample.splitlines(keepends=True) * times
    records[-1] = b'{"broken\n'
    long = tmp_path / file
    long.write_bytes(b"".join(records))
    with long.open("rb") as opened:
        parts = list(blocks(opened, parser(source)))
    assert b"".join(block for _, block in parts) == long.read_bytes()
    assert max(len(block) for _, block in parts) < 2 * BLOCK_BYTES + 2**20
    found = [raw for _, block in parts for raw in parser(source).split(block)]
    assert found == list(parser(source).split(long.read_bytes()))
    starts = [start + (at or 0) for start, block in parts for at, _ in located(parser(source).split(block), block)]
    assert starts == list(accumulate(map(len, records[:-1]), initial=0))


def test_times_without_a_zone_are_read_in_the_one_given() -> None:
    line = (SAMPLES / "mysql_audit.csv").read_bytes().splitlines()[0]
    (event,) = events(parse("--source", "mysql_audit", "--zone", "UTC", "-", data=line))
    assert event["@timestamp"] == "2026-03-01T02:11:09.000Z"


def test_a_hospitals_own_mapping_is_a_source_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    mapping = tmp_path / "our-his.toml"
    text = (SAMPLES.parent / "mappings" / "his_operations.toml").read_text("utf-8")
    mapping.write_text(text, "utf-8")
    done = parse("--source", f"mapped:{mapping}", str(SAMPLES / "his_operations.ndjson"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert events(done)[0]["event.action"] == "his-statistics"
    mapping.write_text(text.replace('scrub = "drop"', 'scrub = "burn"'), "utf-8")
    wrong = parse("--source", f"mapped:{mapping}", str(SAMPLES / "his_operations.ndjson"))
    assert wrong.returncode == 2
    assert b"our-his.toml" in wrong.stderr


def test_an_unknown_source_is_answered_with_the_names_there_are() -> None:
    done = parse("--source", "dishwasher", "-")
    assert done.returncode == 2
    assert all(name.encode() in done.stderr for name in PARSERS)


@pytest.mark.parametrize(
    "arguments",
    [("--zone", "Mars/Base", "-"), ("--charset", "klingon", "-"), ("no-such-file.log",), ()],
)
def test_wrong_arguments_are_usage_errors(arguments: tuple[str, ...]) -> None:
    assert parse("--source", "linux", *arguments).returncode == 2


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    file = tmp_path / "long.log"
    file.write_bytes((SAMPLES / "linux.log").read_bytes() * 2000)
    command = [sys.executable, "-m", "wardwatch", "parse", "--source", "linux", str(file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_tokens_are_the_same_again_only_with_a_key(tmp_path: Path) -> None:
    record = {"timestamp": "2026-03-01 02:11:09", "class": "general", "event": "status", "login": {"os": "li.na"}}
    data = orjson.dumps({**record, "general_data": {"query": "SELECT 1", "status": 0}})
    key = tmp_path / "tokens.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    keyed = [events(parse("--source", "mysql_audit", "--tokens-key", str(key), "-", data=data)) for _ in range(2)]
    throwaway = events(parse("--source", "mysql_audit", "-", data=data))
    assert keyed[0] == keyed[1]
    assert str(keyed[0][0]["db.os_user"]).startswith("st_")
    assert keyed[0][0]["db.os_user"] != throwaway[0]["db.os_user"]
