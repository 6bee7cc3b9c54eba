from __future__ import annotations

import resource
import shutil
import signal
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from ingest.spool import Entry, Kind, Spool
from wardwatch.errors import SpoolFull

LIMIT = 2**22


def entry(number: int, kind: Kind = "forwarded") -> Entry:
    return Entry(kind, "linux", "events.renai", b"event %d" % number, str(number), {"id": str(number)})


def drain(spool: Spool) -> list[Entry]:
    found: list[Entry] = []
    while batch := spool.read(max_entries=3):
        found += batch
    return found


class SpoolModel(RuleBasedStateMachine):
    """A spool beside a plain list: what was appended and not settled is read, in order, after any crash."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.spool = Spool(self.folder, 2**20)
        self.number = 0
        self.unsettled: list[Entry] = []
        self.read: list[Entry] = []
        self.settled = 0

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.folder)

    @rule(count=st.integers(1, 5), size=st.integers(0, 60_000))
    def append(self, count: int, size: int) -> None:
        entries = [Entry("forwarded", "linux", "t", b"%d" % (self.number + i) + b"x" * size) for i in range(count)]
        try:
            self.spool.append(entries)
        except SpoolFull:
            return
        self.number += count
        self.unsettled += entries

    @rule(count=st.integers(1, 7))
    def read_some(self, count: int) -> None:
        batch = self.spool.read(max_entries=count)
        assert batch == self.unsettled[len(self.read) :][: len(batch)]
        assert batch or len(self.read) == len(self.unsettled)
        self.read += batch

    @rule()
    def ack(self) -> None:
        self.spool.ack(self.read)
        self.settled += len(self.read)
        self.unsettled = self.unsettled[len(self.read) :]
        self.read = []

    @rule()
    def rewind(self) -> None:
        self.spool.rewind()
        self.read = []

    @rule(torn=st.binary(max_size=40))
    def crash_and_reopen_behind_a_torn_write(self, torn: bytes) -> None:
        self.spool.close()
        with max(self.folder.glob("*.segment")).open("ab") as segment:
            segment.write(torn)
        self.spool = Spool(self.folder, 2**20)
        self.read = []

    @precondition(lambda self: self.number)
    @invariant()
    def counters_add_up(self) -> None:
        counts = self.spool.counters()["linux"]
        assert counts["accepted"] == self.number
        assert counts["forwarded"] == self.settled
        assert self.spool.waiting == len(self.unsettled)
        assert self.spool.size_bytes <= 2**20


TestSpoolModel = SpoolModel.TestCase
TestSpoolModel.settings = settings(max_examples=25, stateful_step_count=25)


def test_a_last_record_cut_or_flipped_at_any_byte_is_gone_and_the_ones_before_are_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "whole", LIMIT)
    spool.append([entry(1), entry(2)])
    before = spool.size_bytes
    spool.append([entry(3)])
    spool.close()
    segment = next((tmp_path / "whole").glob("*.segment"))
    data = segment.read_bytes()
    damaged = [data[:end] for end in range(before, len(data))]
    damaged += [data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] for at in range(before, len(data))]
    for number, content in enumerate(damaged):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / segment.name).write_bytes(content)
        again = Spool(folder, LIMIT)
        again.append([entry(4)])
        assert [item.key for item in drain(again)] == ["1", "2", "4"]
        assert again.counters()["linux"]["accepted"] == 3
        assert again.torn_bytes == len(content) - before
        again.close()


def test_corruption_in_an_old_segment_is_counted_and_the_next_segment_is_read(tmp_path: Path) -> None:
    for number in (1, 2):
        spool = Spool(tmp_path, LIMIT)
        spool.append([entry(number * 10 + i) for i in range(3)])
        spool.close()
    first = min(tmp_path.glob("*.segment"))
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 0xFF
    first.write_bytes(data)
    spool = Spool(tmp_path, LIMIT)
    assert [item.key for item in drain(spool)] == ["10", "20", "21", "22"]
    assert spool.lost == 2
    spool.close()


def test_a_full_spool_refuses_and_has_room_again_when_the_bus_has_taken_all(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2**20)
    big = Entry("forwarded", "linux", "t", b"x" * 50_000)
    for _ in range(20):
        spool.append([big])
    with pytest.raises(SpoolFull):
        spool.append([big])
    accepted = spool.counters()["linux"]["accepted"]
    spool.ack(drain(spool))
    spool.append([big])
    assert spool.counters()["linux"] == {
        "accepted": accepted + 1,
        "forwarded": accepted,
        "filtered": 0,
        "dead_lettered": 0,
    }
    spool.close()


def test_a_disk_that_takes_no_more_is_a_full_spool_and_loses_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LIMIT)
    spool.append([entry(1)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(SpoolFull, match="disk"):
            spool.append([Entry("forwarded", "linux", "t", b"x" * 10_000)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    spool.append([entry(2)])
    assert [item.key for item in drain(spool)] == ["1", "2"]
    assert spool.counters()["linux"]["accepted"] == 2
    spool.close()


def test_many_writers_share_the_spool_and_each_keeps_its_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 2**24)

    def write(writer: int) -> None:
        for number in range(50):
            spool.append([Entry("forwarded", "linux", "t", b"", f"{writer}:{number}")])

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keys = [item.key for item in drain(spool)]
    assert len(keys) == 400
    for writer in range(8):
        own = [key for key in keys if key.startswith(f"{writer}:")]
        assert own == [f"{writer}:{number}" for number in range(50)]
    spool.close()
