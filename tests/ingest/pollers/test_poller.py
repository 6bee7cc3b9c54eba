"""What every poller promises, whatever it asks: a feed of a test, the real intake, spool and disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog

from ingest import parsers
from ingest.collector import Collector, open_intake, own_folder
from ingest.intake import Intake, Source, source_of
from ingest.parsers import Record
from ingest.pollers import Batch, Poller
from ingest.spool import Entry, Spool
from tests.ingest.running import linux, settings_of
from wardwatch.errors import SettingsError, SpoolFull, Unavailable
from wardwatch.settings import Settings, SourceSettings
from wardwatch.stage import Runtime
from wardwatch.testing.ports import wait_until

MANY = 20_000
PLACE = "postgresql://his/log"
SETTINGS = SourceSettings(parser="linux", transport="sql", url=PLACE)


@dataclass
class Numbers:
    """A system with records 1 to ``end``; its cursor is the number of the last. ``fails`` is raised at a look."""

    end: int
    size: int = 2
    fails: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)
    closed: int = 0

    def batches(self, cursor: str) -> Iterator[Batch]:
        self.asked.append(cursor)
        self.fails()
        for first in range(int(cursor or 0) + 1, self.end + 1, self.size):
            last = min(first + self.size - 1, self.end)
            records = [Record(linux(number), position=f"log@{number}") for number in range(first, last + 1)]
            yield Batch(records, str(last))

    def close(self) -> None:
        self.closed += 1

    def state(self) -> dict[str, int]:
        return {"looks": len(self.asked)}


@dataclass
class Site:
    folder: Path
    settings: Settings
    intake: Intake
    source: Source

    @contextmanager
    def asking(self, feed: Numbers) -> Iterator[Poller]:
        poller = Poller(self.source, self.intake, self.folder, feed, PLACE, 0.05)
        poller.start()
        try:
            yield poller
        finally:
            poller.stop()
        assert feed.closed == 1

    def accepted(self) -> int:
        return self.intake.spool.counters().get("linux", {}).get("accepted", 0)

    def cursor(self) -> str:
        found = [path.read_text() for path in self.folder.glob("cursor-*") if path.suffix != ".draft"]
        return found[0] if found else ""


@contextmanager
def site(folder: Path, spool_bytes: int = 2**24) -> Iterator[Site]:
    settings = settings_of(folder, SETTINGS, spool_bytes=spool_bytes)
    with own_folder(settings) as own, open_intake(settings, own) as intake:
        yield Site(own, settings, intake, source_of(SETTINGS, settings.collector, parsers.parser))


def test_a_feed_is_read_once_and_goes_on_at_the_cursor_in_the_next_process(tmp_path: Path) -> None:
    with site(tmp_path) as one, one.asking(Numbers(5)):
        wait_until(lambda: one.cursor() == "5", what="the cursor")
        assert one.accepted() == 5
    feed = Numbers(7)
    with site(tmp_path) as two, two.asking(feed):
        wait_until(lambda: two.cursor() == "7", what="the cursor")
        assert feed.asked[0] == "5"
        assert two.accepted() == 7


def refusals(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> list[SpoolFull]:
    """Return a list in which every refusal of the spool appears."""
    append, found = spool.append, []

    def watched(entries: Sequence[Entry]) -> None:
        try:
            append(entries)
        except SpoolFull as error:
            found.append(error)
            raise

    monkeypatch.setattr(spool, "append", watched)
    return found


def test_the_cursor_is_written_only_behind_records_that_are_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, spool_bytes=2**20) as full:
        refused = refusals(full.intake.spool, monkeypatch)
        with full.asking(Numbers(MANY, size=100)):
            wait_until(lambda: len(refused) > 1, what="a full spool, asked again")
            taken = full.accepted()
            assert 0 < taken < MANY
            assert int(full.cursor() or 0) <= full.accepted()  # of the batch at hand a part may be in
            while full.accepted() < MANY:  # the bus takes some: reading goes on with the next record
                full.intake.spool.ack(full.intake.spool.read())
            wait_until(lambda: full.cursor() == str(MANY), what="the last cursor")
        assert full.accepted() == MANY


def test_what_was_taken_though_its_cursor_could_not_be_written_is_asked_for_again(tmp_path: Path) -> None:
    feed = Numbers(2)
    with site(tmp_path) as here:
        (here.folder / "full").mkdir()
        poller = Poller(here.source, here.intake, here.folder / "full", feed, PLACE, 0.05)
        (here.folder / "full").rename(here.folder / "gone")
        poller.start()
        wait_until(lambda: "can't be written" in poller.problem, what="the problem")
        (here.folder / "gone").rename(here.folder / "full")
        wait_until(lambda: poller.problem == "", what="the cursor written")
        poller.stop()
        assert feed.asked[:2] == ["", ""]
        assert here.accepted() > 2


def test_a_cursor_that_can_not_be_read_is_refused_at_start_with_the_remedy(tmp_path: Path) -> None:
    with site(tmp_path) as here:
        with here.asking(Numbers(1)):
            wait_until(here.cursor, what="the cursor")
        next(here.folder.glob("cursor-*")).write_bytes(b"\xff")
        with pytest.raises(SettingsError, match="can't be read") as refused:
            Poller(here.source, here.intake, here.folder, Numbers(1), PLACE, 0.05)
        assert "move it away" in refused.value.remedy


def test_a_system_that_is_gone_is_a_problem_in_health_until_it_answers_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pollers.FIRST_WAIT_S", 0.05)
    gone = True

    def fails() -> None:
        if gone:
            raise Unavailable("the system is switched off")

    with site(tmp_path) as here, here.asking(Numbers(3, fails=fails)) as poller:
        runtime = Runtime("collector")
        collector = Collector("renai", here.intake, [here.source], [poller], runtime, [poller])

        def shown() -> dict[str, object]:
            collector.report()
            part: dict[str, object] = runtime.health()["parts"][poller.name]
            return part

        wait_until(lambda: shown()["message"] == "the system is switched off", what="the problem")
        assert shown()["ok"] is False
        wait_until(lambda: poller.state()["failed"] > 1, what="asked again")
        gone = False
        wait_until(lambda: shown()["ok"] is True, what="well again")
        wait_until(lambda: here.cursor() == "3", what="the cursor")
        assert shown()["message"] == PLACE
        assert poller.state()["looks"] == shown()["looks"]


def test_a_mistake_of_a_feed_does_not_end_the_source_and_quotes_no_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingest.pollers.FIRST_WAIT_S", 0.05)
    mistakes = iter([ValueError("patient Li Lei"), KeyError("Li Lei")])

    def fails() -> None:
        for mistake in mistakes:
            raise mistake

    feed = Numbers(3, fails=fails)
    with structlog.testing.capture_logs() as logs, site(tmp_path) as here, here.asking(feed) as poller:
        wait_until(lambda: here.cursor() == "3", what="the cursor")
        assert poller.state()["failed"] == 2
    assert [line["reason"] for line in logs] == ["ValueError in the feed", "KeyError in the feed"]
    assert "Li Lei" not in str(logs)


def test_a_poller_stops_while_the_spool_is_full_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(tmp_path, spool_bytes=2**20) as full:
        refused = refusals(full.intake.spool, monkeypatch)
        with full.asking(Numbers(MANY, size=100)):
            wait_until(lambda: refused, what="a full spool")
        taken, cursor = full.accepted(), int(full.cursor())
        assert cursor <= taken < cursor + 100
    feed = Numbers(MANY, size=100)
    with site(tmp_path) as again, again.asking(feed):
        wait_until(lambda: again.cursor() == str(MANY), what="the rest")
        assert feed.asked[0] == str(cursor)
        assert again.accepted() == MANY + taken - cursor  # what is asked for again has the ids it had
