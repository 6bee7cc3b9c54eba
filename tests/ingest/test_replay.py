"""``wardwatch collector replay``: a stored file goes through the running collector, and repeating it is harmless."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ingest.cli_collector import collector
from ingest.collector import site_folder
from ingest.intake import Source
from ingest.local import LocalSocket, connect
from ingest.parsers import Record, parser
from ingest.replay import parts
from tests.ingest.running import HL7, Running, events, linux, running
from wardwatch.errors import NotFound, SpoolFull
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

TCP = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    with running(tmp_path, TCP) as started:
        monkeypatch.setenv("WARDWATCH_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("WARDWATCH_COLLECTOR__TENANT", "renai")
        yield started


def ids(site: Running) -> list[str]:
    return [event["event.id"] for event in events(site.settings)]


def replay(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(collector, ["replay", *arguments])
    return done.exit_code, done.output


def test_a_file_that_was_tailed_gives_the_ids_it_gave_and_so_does_doing_it_again(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    log.write_bytes(b"".join(linux(number) + b"\n" for number in range(20)))
    tailed = SourceSettings(parser="linux", transport="file", path=str(log))
    with running(tmp_path, tailed) as site:
        wait_until(lambda: len(ids(site)) == 20, what="all tailed")
        before = set(ids(site))
        rotated = log.rename(tmp_path / "auth.log.1")
        with connect(site_folder(site.settings)) as asked:
            for part in parts(rotated, parser("linux"), name="auth.log"):
                assert set(asked.replay("linux", part.records)) == {"forwarded"}
        wait_until(lambda: len(ids(site)) == 40, what="all replayed")
        assert set(ids(site)) == before
        assert len(before) == 20


def test_the_command_says_what_became_of_the_records_and_the_last_line_needs_no_end(
    tmp_path: Path, site: Running
) -> None:
    file = tmp_path / "old.log"
    file.write_bytes(linux(1) + b"\n\nnonsense\n" + linux(2))
    code, shown = replay(str(file), "--source", "linux")
    assert code == 1
    assert "3 records: 2 became events, 0 filtered, 1 dead-lettered" in shown
    wait_until(lambda: site.counts("linux") == (3, 2, 0, 1), what="all settled")
    replay(str(file), "--source", "linux")
    wait_until(lambda: site.counts("linux") == (6, 4, 0, 2), what="all settled again")
    assert len(set(ids(site))) == 2


def test_it_goes_on_from_a_place_with_the_same_positions(tmp_path: Path) -> None:
    lines, messages = tmp_path / "a.log", tmp_path / "b.hl7"
    lines.write_bytes(b"".join(linux(number) + b"\n" for number in range(30_000)))
    messages.write_bytes(b"\r\n".join(HL7 % number for number in range(1200)))
    for file, source in ((lines, parser("linux")), (messages, parser("hl7v2"))):
        whole = list(parts(file, source))
        assert len(whole) > 1
        assert all(len(part.records) for part in whole)
        rest = [record.position for part in parts(file, source, whole[0].end) for record in part.records]
        assert rest == [record.position for part in whole[1:] for record in part.records]


def test_a_line_has_the_position_it_gets_when_its_end_is_written(tmp_path: Path) -> None:
    begun, ended = tmp_path / "begun", tmp_path / "ended"
    begun.write_bytes(linux(1))
    ended.write_bytes(linux(1) + b"\n")
    one, other = (
        [record.position for part in parts(path, parser("linux"), name="auth.log") for record in part.records]
        for path in (begun, ended)
    )
    assert one == other
    assert len(one) == 1


def test_a_source_that_is_not_configured_can_be_back_filled_and_an_unknown_one_is_refused(
    tmp_path: Path, site: Running
) -> None:
    file = tmp_path / "adt.hl7"
    file.write_bytes(HL7 % 1)
    assert replay(str(file), "--source", "hl7v2")[0] == 0
    wait_until(lambda: site.counts("hl7v2") == (1, 1, 0, 0), what="the message settled")
    result = CliRunner().invoke(collector, ["replay", str(file), "--source", "vax"])
    assert "'vax' is no source" in str(result.exception)


def test_a_collector_that_ends_says_where_to_go_on(
    tmp_path: Path, site: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.log"
    file.write_bytes(b"".join(linux(number) + b"\n" for number in range(30_000)))
    first = next(parts(file, parser("linux")))
    accept, local = site.intake.accept, site.listeners[-1]
    assert isinstance(local, LocalSocket)

    def until_it_ends(source: Source, records: list[Record]) -> object:
        if site.counts("linux")[0] < len(first.records):
            return accept(source, records)
        local._closing.set()
        raise SpoolFull("the spool is full")

    monkeypatch.setattr(site.intake, "accept", until_it_ends)
    result = CliRunner().invoke(collector, ["replay", str(file), "--source", "linux"])
    assert result.exit_code == 1
    assert f"{len(first.records)} records are taken; go on with --from {first.end}" in result.output


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"gone\.log"):
        list(parts(tmp_path / "gone.log", parser("linux")))
