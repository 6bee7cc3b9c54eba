"""``wardwatch collector tap``: what is seen of a source, by whom, and that it costs the intake nothing."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from ingest.collector import site_folder
from ingest.intake import Source, source_of
from ingest.local import Running as Asked
from ingest.local import connect, path_of
from ingest.parsers import Record
from ingest.scrub import Action
from ingest.spool import Entry
from ingest.tap import MOST_BYTES, MOST_RECORDS, Seen, Watcher, changes, seen
from ingest.tap_view import drawn
from tests.ingest.running import HL7, Running, events, linux, running, settings_of
from wardwatch.errors import NotFound, Unavailable
from wardwatch.settings import CollectorSettings, SourceSettings
from wardwatch.testing.ports import wait_until

LINUX = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")
ADT = SourceSettings(parser="hl7v2", transport="mllp", listen="127.0.0.1:0")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path / ("long" * 40), LINUX, ADT) as started:
        yield started


def send(site: Running, *records: bytes) -> None:
    with socket.create_connection(("127.0.0.1", site.port(1))) as peer:
        for record in records:
            peer.sendall(b"\x0b" + record + b"\x1c\r")
            assert b"MSA|A" in peer.recv(1000)


def tapped(site: Running, count: int, *records: bytes, raw: bool = True) -> list[Seen]:
    """Return what is shown of records that are sent while somebody looks."""
    found: list[Seen] = []
    with connect(site_folder(site.settings)) as asked:
        shown = asked.tap("hl7v2", raw=raw)
        reader = threading.Thread(target=lambda: found.extend(islice(shown, count)))
        reader.start()
        wait_until(lambda: bool(site.intake._viewers), what="somebody who looks")
        send(site, *records)
        reader.join(30)
    wait_until(lambda: not site.intake._viewers, what="nobody who looks")
    return found


def taps(site: Running) -> list[dict[str, Any]]:
    return [event for event in events(site.settings) if event["event.action"] == "tap"]


def test_a_record_is_shown_as_it_arrived_beside_what_leaves_of_it(site: Running) -> None:
    good, bad = tapped(site, 2, HL7 % 1, b"MSH|nonsense")
    assert good.raw == (HL7 % 1)
    assert good.peer == "127.0.0.1"
    (outcome,) = good.outcomes
    assert outcome.event is not None
    by_field = {change.field: change for change in outcome.changes}
    patient = by_field["hospital.patient.id_token"]
    assert (patient.before, patient.how, patient.after) == ("9988", "pt", outcome.event["hospital.patient.id_token"])
    assert "hl7.message_type" not in by_field
    (refused,) = bad.outcomes
    assert (refused.kind, refused.step, bool(refused.reason)) == ("dead_lettered", "hl7v2", True)


def test_without_raw_no_identity_is_shown_but_the_fields_that_were_replaced(site: Running) -> None:
    (shown,) = tapped(site, 1, HL7 % 1, raw=False)
    assert shown.raw is None
    assert "9988" not in str(shown)
    assert "San" not in str(shown)
    assert "hospital.patient.id_token" in {change.field for change in shown.outcomes[0].changes}


def test_each_use_is_an_event_with_the_account_and_the_source_before_anything_is_shown(site: Running) -> None:
    tapped(site, 1, HL7 % 1)
    wait_until(lambda: len(taps(site)) == 1, what="the audit event on the bus")
    (event,) = taps(site)
    assert event["tap.source"] == "hl7v2"
    assert event["user.id"].startswith("st_")
    assert event["event.reason"].startswith("records as they arrived")


def test_a_source_that_the_collector_has_not_is_refused_and_leaves_no_event(site: Running) -> None:
    with connect(site_folder(site.settings)) as asked, pytest.raises(NotFound, match="windows"):
        next(asked.tap("windows", raw=True))
    assert taps(site) == []


def test_two_sources_of_one_parser_are_looked_at_apart_by_their_names(tmp_path: Path) -> None:
    both = [LINUX.model_copy(update={"name": name}) for name in ("north", "south")]
    with running(tmp_path, *both) as started, connect(site_folder(started.settings)) as asked:
        shown = asked.tap("south", raw=True)
        found: list[Seen] = []
        reader = threading.Thread(target=lambda: found.extend(islice(shown, 1)))
        reader.start()
        wait_until(lambda: bool(started.intake._viewers), what="somebody who looks")
        for number in (0, 1):
            with socket.create_connection(("127.0.0.1", started.port(number))) as peer:
                peer.sendall(linux(number) + b"\n")
            wait_until(lambda name=both[number].name: started.counts(name)[0] == 1, what="the record")  # type: ignore[misc]
        reader.join(30)
    assert [(each.source, each.raw) for each in found] == [("south", linux(1))]


def test_the_socket_is_for_its_owner_and_gone_with_the_collector(tmp_path: Path) -> None:
    with running(tmp_path, LINUX) as started:
        path = path_of(site_folder(started.settings))
        status = path.stat()
        assert stat.S_ISSOCK(status.st_mode)
        assert stat.S_IMODE(status.st_mode) == 0o600
    assert not path.exists()
    with pytest.raises(Unavailable, match="no collector answers"), connect(path.parent):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_account_is_refused_even_where_the_file_lets_it_in() -> None:
    with tempfile.TemporaryDirectory() as folder, running(Path(folder), LINUX) as started:
        path = path_of(site_folder(started.settings))
        for each in (path, *path.parents[: len(path.parents) - 2]):
            each.chmod(0o777)
        code = "import os, socket, sys; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
        done = subprocess.run(
            [sys.executable, "-c", code + "print(s.recv(1))", str(path)], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "b''"
        assert started.listeners[-1].state()["refused"] == 1


def linux_source() -> Source:
    return source_of(LINUX, CollectorSettings(tenant="renai"))


def test_a_viewer_that_reads_nothing_holds_a_bounded_number_of_records_and_is_told_what_it_missed() -> None:
    source = linux_source()
    watcher = Watcher("linux", raw=True)
    for number in range(MOST_RECORDS + 7):
        watcher.offer(source, Record(linux(number)), [])
    first, second = watcher.next(0), watcher.next(0)
    assert first
    assert second
    assert (first.missed, second.missed) == (7, 0)
    large = Watcher("linux", raw=True)
    for _ in range(3):
        large.offer(source, Record(bytes(MOST_BYTES // 2)), [])
    held = large.next(0)
    assert held
    assert held.missed == 1


def test_a_viewer_that_stops_reading_holds_up_no_sender(site: Running) -> None:
    source = source_of(ADT, CollectorSettings(tenant="renai"))
    note = b"NTE|1||" + b"x" * 200_000
    with connect(site_folder(site.settings)) as asked:
        shown = asked.tap("hl7v2", raw=True)
        watching = threading.Thread(target=lambda: next(shown))
        watching.start()
        wait_until(lambda: bool(site.intake._viewers), what="somebody who looks")
        for number in range(300):  # more than socket and queue hold
            site.intake.accept(source, [Record(HL7 % number + note)])
        watching.join(30)
        assert site.counts("hl7v2")[0] == 300
        asked._socket.settimeout(30)
        assert next(each.missed for each in shown if each.missed) > 0


def test_a_socket_that_a_killed_collector_left_is_replaced(tmp_path: Path) -> None:
    folder = site_folder(settings_of(tmp_path))
    folder.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path_of(folder)))
    with running(tmp_path, LINUX) as started, connect(site_folder(started.settings)) as asked:
        assert asked.samples() == {}


def test_an_intake_that_nobody_watches_does_nothing_for_it(site: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watcher, "offer", lambda *_: pytest.fail("offered"))
    send(site, HL7 % 1)
    assert site.counts("hl7v2")[0] == 1


def test_the_way_each_field_was_changed_is_named() -> None:
    policy = {"a": Action.PATIENT, "b": Action.DROP, "c": Action.URL, "same": Action.TEXT, "empty": Action.STAFF}
    source = linux_source()
    source = replace(source, parser=replace(source.parser, policy=policy))
    before = {"a": ["1", "2"], "b": "x", "c": "/a/b", "same": "s", "swept": "13800138000", "empty": ""}
    after = {"a": ["pt_" + "0" * 24], "c": "/a", "same": "s", "swept": "[phone]", "event.id": "new"}
    found = {change.field: change.how for change in changes(before, after, source, raw=True)}
    assert found == {"a": "pt", "b": "dropped", "c": "url", "swept": "text"}


HOSTILE = "\x1b]0;owned\x07 \x1b[2J \x9b31m a\u202eb \u2066c \r\n── linux forged"


def test_hostile_text_reaches_no_terminal_and_forges_no_line() -> None:
    source = linux_source()
    entries = [
        Entry("forwarded", "linux", value=b'{"event.action": "x", "message": "\\u001b[2J\\u202e\\n\\u2500 fake"}'),
        Entry("dead_lettered", "linux", value=b'{"step": "parse", "reason": "\\u001b]0;x\\u0007\\nforged"}'),
    ]
    record = Record(HOSTILE.encode(), peer=HOSTILE, position=HOSTILE)
    shown = seen(source, record, entries, raw=True)
    out = io.StringIO()
    Console(file=out, width=400, color_system=None, highlight=False, markup=False).print(drawn(shown))
    text = out.getvalue()
    assert not set(text) & set("\x1b\x07\x9b\u202e\u2066\r")
    assert "\\x1b" in text
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("── linux")] == [lines[0]]
    assert all(line.startswith("▏") for line in lines if "forged" in line and line != lines[0] and "parse:" not in line)


def test_what_no_message_carries_is_told_as_text() -> None:
    source = linux_source()
    source = replace(source, parser=replace(source.parser, policy={"a": Action.DROP, "b": Action.DROP}))
    found = list(changes({"a": "\ud800x", "b": [2**70, True]}, {}, source, raw=True))
    assert [change.before for change in found] == ["\\ud800x", [str(2**70), "True"]]
    msgspec.msgpack.encode(found)


def test_the_last_event_of_each_source_can_be_asked_for(site: Running) -> None:
    def samples() -> dict[str, Any]:
        with connect(site_folder(site.settings)) as asked:
            assert isinstance(asked, Asked)
            return asked.samples()

    assert samples() == {}
    send(site, HL7 % 1, HL7 % 2)
    assert samples()["hl7v2"]["hl7.control_id"] == "2"
