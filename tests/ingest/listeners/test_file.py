from __future__ import annotations

import gzip
import os
import shutil
import socket
import tarfile
from pathlib import Path

import orjson
import pytest

from ingest import files
from tests.ingest.running import HL7, Running, dead_letters, events, linux, running
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

DATA = Path(__file__).parents[4] / "shared" / "data"
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no shared/data beside the checkout")


def source(path: Path, parser: str = "linux") -> SourceSettings:
    return SourceSettings(parser=parser, transport="file", path=str(path))


def write(path: Path, *numbers: int, end: bytes = b"\n") -> None:
    with path.open("ab") as file:
        file.write(b"\n".join(linux(number) for number in numbers) + end)


def accepted(site: Running, name: str, number: int) -> None:
    wait_until(lambda: site.counts(name)[0] >= number and site.settled(), timeout_s=10, what=f"{number} records")
    assert site.counts(name)[0] == number


def test_lines_are_taken_when_they_are_complete(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    with running(tmp_path / "data", source(log)) as site:
        write(log, 1, 2)
        write(log, 3, end=b"")
        accepted(site, "linux", 2)
        write(log, end=b"\n")
        accepted(site, "linux", 3)


def test_rotation_by_renaming_loses_and_doubles_nothing(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    with running(tmp_path / "data", source(log)) as site:
        write(log, 1, 2)
        accepted(site, "linux", 2)
        log.rename(tmp_path / "auth.log.1")
        write(tmp_path / "auth.log.1", 3)  # the writer still holds the old file
        write(log, 4, 5)
        accepted(site, "linux", 5)
        assert len({event["event.id"] for event in events(site.settings)}) == 5


def test_a_file_copied_and_truncated_is_read_from_its_new_beginning(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    with running(tmp_path / "data", source(log)) as site:
        write(log, 1, 2, 3)
        accepted(site, "linux", 3)
        shutil.copy(log, tmp_path / "copy")
        log.write_bytes(b"")
        write(log, 4)
        accepted(site, "linux", 4)


def test_a_truncated_file_with_the_same_first_line_gives_new_events(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    with running(tmp_path / "data", source(log)) as site:
        write(log, 1, 2, 3)
        accepted(site, "linux", 3)
        log.write_bytes(b"")
        write(log, 1, 4)
        accepted(site, "linux", 5)
        assert len({event["event.id"] for event in events(site.settings)}) == 5


def test_positions_outlive_the_collector_and_reading_again_gives_the_same_ids(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    write(log, 1, 2)
    with running(tmp_path / "data", source(log)) as site:
        accepted(site, "linux", 2)
    write(log, 3)
    with running(tmp_path / "data", source(log)) as site:
        accepted(site, "linux", 3)
    for positions in (tmp_path / "data").rglob("positions-*.json"):
        positions.unlink()
    with running(tmp_path / "data", source(log)) as site:
        accepted(site, "linux", 6)
        assert len({event["event.id"] for event in events(site.settings)}) == 3


def test_a_file_of_messages_is_read_whole_and_once(tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    with running(tmp_path / "data", source(folder / "*.hl7", "hl7v2")) as site:
        (folder / "batch.hl7").write_bytes(HL7 % 1 + b"\r" + HL7 % 2)
        accepted(site, "hl7v2", 2)
        (folder / "next.hl7").write_bytes(HL7 % 3)
        accepted(site, "hl7v2", 3)


def test_files_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    with running(tmp_path / "data", source(folder / "*.log")) as site:
        for number in range(3):
            write(folder / f"{number}.log", number)
        accepted(site, "linux", 3)
        (folder / "1.log").unlink()
        wait_until(lambda: site.listeners[0].state()["files"] == 2, what="one forgotten")
        (positions,) = (tmp_path / "data").rglob("positions-*.json")
        wait_until(lambda: len(orjson.loads(positions.read_bytes())) == 2, what="two positions")
        write(folder / "0.log", 4)
        accepted(site, "linux", 4)


def test_rotated_files_that_begin_alike_give_different_events(tmp_path: Path) -> None:
    log = tmp_path / "auth.log"
    header = linux(0) + b"\n"
    with running(tmp_path / "data", source(log)) as site:
        log.write_bytes(header + linux(1) + b"\n")
        accepted(site, "linux", 2)
        log.rename(tmp_path / "auth.log.1")
        log.write_bytes(header + linux(2) + b"\n")
        accepted(site, "linux", 4)
        assert len({event["event.id"] for event in events(site.settings)}) == 3


def test_the_brackets_and_commas_of_a_json_array_are_filtered(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    entry = b'{"timestamp": "2026-03-01 02:11:%02d", "class": "general", "event": "status"}'
    with running(tmp_path / "data", source(log, "mysql_audit")) as site:
        log.write_bytes(b"[\n%s,\n%s\n,\n%s\n]\n" % (entry % 1, entry % 2, entry % 3))
        accepted(site, "mysql_audit", 6)
        assert site.counts("mysql_audit") == (6, 3, 3, 0)


AUDIT = [
    b'type=SYSCALL msg=audit(1772302269.155:%d): arch=c000003e syscall=59 success=yes pid=4188 exe="/usr/bin/tar"',
    b'type=EXECVE msg=audit(1772302269.155:%d): argc=2 a0="tar" a1="czf"',
    b'type=CWD msg=audit(1772302269.155:%d): cwd="/root"',
    b"type=EOE msg=audit(1772302269.155:%d): ",
]


def audit(*parts: tuple[int, int]) -> bytes:
    """Return lines, each the so manieth of the event of a serial."""
    return b"".join(AUDIT[number] % serial + b"\n" for serial, number in parts)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def types(site: Running) -> list[tuple[int, list[str]]]:
    return sorted((event["event.sequence"], event["auditd.type"]) for event in events(site.settings))


def test_records_of_one_audit_event_are_joined_across_reads_and_between_others(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path / "data", source(log, "auditd")) as site:
        append(log, audit((1, 0), (2, 0), (1, 1)))
        wait_until(lambda: read_to(tmp_path) == 0, what="a look at the file")
        append(log, audit((2, 1), (1, 2), (2, 2), (2, 3)))
        accepted(site, "auditd", 1)  # the first one has no end yet
        append(log, audit((1, 3)))
        accepted(site, "auditd", 2)
        wait_until(lambda: read_to(tmp_path) == log.stat().st_size, what="the mark at the end")
        assert types(site) == [(1, ["SYSCALL", "EXECVE", "CWD"]), (2, ["SYSCALL", "EXECVE", "CWD"])]


def read_to(folder: Path) -> int | None:
    """Return the one mark that is on disk, None before there is one."""
    marks = [mark for path in folder.rglob("positions-*.json") for mark in orjson.loads(path.read_bytes()).values()]
    return next((mark["offset"] for mark in marks if mark["name"].startswith("audit")), None)


def test_an_audit_event_that_is_not_complete_outlives_the_collector(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    append(log, audit((1, 0), (2, 0), (2, 3), (1, 1)))
    with running(tmp_path / "data", source(log, "auditd")) as site:
        accepted(site, "auditd", 1)
        assert read_to(tmp_path) == 0
    append(log, audit((1, 2), (1, 3)))
    with running(tmp_path / "data", source(log, "auditd")) as site:
        wait_until(lambda: read_to(tmp_path) == log.stat().st_size and site.settled(), what="the mark at the end")
        assert len({event["event.id"] for event in events(site.settings)}) == 2
        assert types(site)[0] == (1, ["SYSCALL", "EXECVE", "CWD"])


def test_an_audit_event_without_end_is_taken_after_a_few_seconds(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    append(log, audit((1, 0), (1, 1)))
    with running(tmp_path / "data", source(log, "auditd")) as site:
        accepted(site, "auditd", 1)
        assert types(site) == [(1, ["SYSCALL", "EXECVE"])]


def test_an_audit_event_is_taken_as_it_is_where_its_file_is_gone_or_begun_anew(tmp_path: Path) -> None:
    log = tmp_path / "audit.log"
    with running(tmp_path / "data", source(log, "auditd")) as site:
        append(log, audit((1, 0)))
        wait_until(lambda: read_to(tmp_path) == 0, what="a look at the file")
        log.write_bytes(audit((2, 0), (2, 3)))  # copied and truncated
        accepted(site, "auditd", 2)
        append(log, audit((3, 0), (4, 0), (4, 3)))
        accepted(site, "auditd", 3)
        log.unlink()
        accepted(site, "auditd", 4)


def test_audit_records_by_syslog_are_joined(tmp_path: Path) -> None:
    lines = [
        b"<134>Mar  1 02:12:00 lis-02 audispd: node=lis-02 " + line
        for line in audit((1, 0), (2, 0), (1, 1), (2, 1), (1, 3)).splitlines()
    ]
    sources = [
        SourceSettings.model_validate({"parser": "auditd", "transport": each, "listen": "127.0.0.1:0"})
        for each in ("tcp", "udp")
    ]
    with running(tmp_path, *sources) as site:
        with socket.create_connection(("127.0.0.1", site.port())) as tcp:
            for line in lines:
                tcp.sendall(line + b"\n")
            tcp.shutdown(socket.SHUT_WR)
            assert tcp.recv(1) == b""  # closed once all is durable
        accepted(site, "auditd", 2)
        assert types(site) == [(1, ["SYSCALL", "EXECVE"]), (2, ["SYSCALL", "EXECVE"])]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            for line in lines:
                udp.sendto(line.replace(b":1)", b":3)").replace(b":2)", b":4)"), ("127.0.0.1", site.port(1)))
        accepted(site, "auditd", 4)
        assert types(site)[2:] == [(3, ["SYSCALL", "EXECVE"]), (4, ["SYSCALL", "EXECVE"])]


def test_every_datagram_is_one_record(tmp_path: Path) -> None:
    udp = SourceSettings(parser="linux", transport="udp", listen="127.0.0.1:0")
    with running(tmp_path, udp) as site, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for data in (linux(1), b"\x00\xff", b"", linux(2)):
            out.sendto(data, ("127.0.0.1", site.port()))
        accepted(site, "linux", 4)
        assert site.counts("linux") == (4, 2, 1, 1)


def test_a_compressed_log_that_was_read_before_gives_only_what_was_not(tmp_path: Path) -> None:
    log, packed = tmp_path / "auth.log", tmp_path / "auth.log.1.gz"
    with running(tmp_path / "data", source(tmp_path / "auth.log*")) as site:
        write(log, 1, 2)
        accepted(site, "linux", 2)
    write(log, 3)
    packed.write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    write(log, 4)
    with running(tmp_path / "data", source(tmp_path / "auth.log*")) as site:
        accepted(site, "linux", 4)
        assert len({event["event.id"] for event in events(site.settings)}) == 4


def test_a_compressed_log_that_begins_like_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    with running(tmp_path / "data", source(tmp_path / "auth.log*")) as site:
        write(tmp_path / "auth.log", 0, 1)
        accepted(site, "linux", 2)
        (tmp_path / "auth.log.1.gz").write_bytes(gzip.compress(linux(0) + b"\n" + linux(2) + b"\n" + linux(3)))
        accepted(site, "linux", 5)


def test_gzip_of_messages_is_read_and_damaged_or_vast_gzip_is_dead_lettered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MAX_WHOLE_BYTES", 2**20)
    with running(tmp_path / "data", source(tmp_path / "*.gz", "hl7v2")) as site:
        (tmp_path / "a.gz").write_bytes(gzip.compress(HL7 % 1 + b"\r" + HL7 % 2))
        accepted(site, "hl7v2", 2)
        (tmp_path / "cut.gz").write_bytes(gzip.compress(HL7 % 3)[:-9])
        accepted(site, "hl7v2", 3)
        (tmp_path / "vast.gz").write_bytes(gzip.compress(bytes(2**20 + 1)))
        accepted(site, "hl7v2", 4)
        reasons = [letter["reason"] for letter in dead_letters(site.settings)]
    assert "can't be unpacked: EOFError" in reasons[0]
    assert "more than 1048576 bytes in a gzip file" in reasons[1]


def old(path: Path) -> None:
    os.utime(path, (0, 0))


def test_files_are_deleted_when_they_are_read_and_old_and_only_where_the_settings_say_so(tmp_path: Path) -> None:
    kept, dropped = tmp_path / "kept", tmp_path / "dropped"
    kept.mkdir()
    dropped.mkdir()
    deleting = source(dropped / "*").model_copy(update={"done": "delete"})
    with running(tmp_path / "data", source(kept / "*.hl7", "hl7v2"), deleting) as site:
        (kept / "old.hl7").write_bytes(HL7 % 1)
        old(kept / "old.hl7")
        write(dropped / "new.log", 1, 2)
        write(dropped / "old.log", 3, 4, end=b"")
        (dropped / "old.gz").write_bytes(gzip.compress(linux(5)))
        old(dropped / "old.log")
        old(dropped / "old.gz")
        accepted(site, "linux", 5)
        accepted(site, "hl7v2", 1)
        wait_until(lambda: not list(dropped.glob("old*")), what="old files gone")
        assert sorted(path.name for path in dropped.iterdir()) == ["new.log"]
        assert (kept / "old.hl7").exists()


@needs_data
def test_an_event_log_of_windows_gives_its_events(tmp_path: Path) -> None:
    """A copy of ForwardedEvents.evtx, as Windows Event Forwarding writes it (the sample is of SigmaHQ)."""
    with tarfile.open(DATA / "sigmahq-regression.tar.gz") as archive:
        member = next(one for one in archive if one.name.endswith(".evtx"))
        content = archive.extractfile(member)
        assert content
        data = content.read()
    with running(tmp_path / "data", source(tmp_path / "*.evtx", "windows")) as site:
        (tmp_path / "ForwardedEvents.evtx").write_bytes(data)
        wait_until(lambda: site.counts("windows")[0] > 0 and site.settled(), what="events")
        found = events(site.settings)
    assert found
    assert {event["event.module"] for event in found} == {"windows"}
    assert all(event["winlog.channel"] for event in found)
