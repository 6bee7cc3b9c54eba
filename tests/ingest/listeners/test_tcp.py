from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from ingest.framing import FrameError, MllpFraming, SyslogFraming
from tests.ingest.running import HL7, dead_letters, events, linux, running
from wardwatch.demo.stand import write_certificate
from wardwatch.errors import SettingsError
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

TCP = SourceSettings(parser="linux", transport="tcp", listen="127.0.0.1:0")


def counted(*frames: bytes) -> bytes:
    return b"".join(b"%d %s" % (len(frame), frame) for frame in frames)


def send(port: int, data: bytes) -> None:
    """Send, close our half, and return when the collector closes the other."""
    with socket.create_connection(("127.0.0.1", port), 10) as peer:
        try:
            peer.sendall(data)
            peer.shutdown(socket.SHUT_WR)
            peer.recv(1)
        except OSError:
            pass  # refused before it had read everything


@pytest.mark.parametrize("size", [1, 2, 7, 100_000])
def test_octet_counting_and_lines_are_told_apart_however_the_bytes_are_cut(size: int) -> None:
    stream = counted(b"<1>a\nb", b"<2>c") + b"<3>line\r\n" + counted(b"<4>d") + b"<5>e\n2026-03-01 f\n"
    framing = SyslogFraming()
    frames = [frame for at in range(0, len(stream), size) for frame in framing.feed(stream[at : at + size])]
    assert [*frames, *framing.end()] == [b"<1>a\nb", b"<2>c", b"<3>line", b"<4>d", b"<5>e", b"2026-03-01 f"]


@pytest.mark.parametrize("size", [1, 3, 100_000])
def test_mllp_messages_are_cut_however_the_bytes_arrive(size: int) -> None:
    stream = b"\x0bMSH|1\x1c\r\x0bMSH|2\x1c\r\n\x0bMSH|3\x1c\r"
    framing = MllpFraming()
    frames = [frame for at in range(0, len(stream), size) for frame in framing.feed(stream[at : at + size])]
    assert frames == [b"MSH|1", b"MSH|2", b"MSH|3"]
    assert not framing.pending


def test_framing_refuses_garbage_before_an_mllp_message() -> None:
    with pytest.raises(FrameError, match="0x0B"):
        MllpFraming().feed(HL7 % 1)


def test_when_the_collector_closes_everything_that_was_sent_is_counted(tmp_path: Path) -> None:
    with running(tmp_path, TCP) as site:
        send(site.port(), counted(*(linux(number) for number in range(300))))
        assert site.counts("linux")[0] == 300
        wait_until(site.settled, what="spool empty")
        assert site.counts("linux") == (300, 300, 0, 0)
        assert len(events(site.settings)) == 300


@pytest.mark.parametrize(
    "bad",
    [
        b"999999999 <1>endless",
        b"5 " + linux(1) + b" wrong count",
        b"500 " + linux(1),
        b"x" * (2**20 + 70_000),
        b"<1>no program here \xff\xfe\x00\n",
        b"\x16\x03\x01\x02\x00\x01\x00\n",
        b"[" * 100_000 + b"\n",
    ],
    ids=["endless", "short count", "half frame", "no line end", "bad utf-8", "tls hello", "brackets"],
)
def test_bad_input_is_a_dead_letter_without_its_bytes_and_the_next_connection_is_fine(
    tmp_path: Path, bad: bytes
) -> None:
    with running(tmp_path, TCP) as site:
        send(site.port(), bad)
        send(site.port(), linux(7) + b"\n")
        wait_until(lambda: site.settled() and site.counts("linux")[1] == 1, what="the good record forwarded")
        letters = dead_letters(site.settings)
        assert letters
        assert all(letter["payload"] is None and letter["position"].startswith("quarantine:") for letter in letters)
        held = b"".join(site.intake.quarantine.get(letter["position"]).record.data for letter in letters)
        assert held[:20].strip() in bad


def test_blank_frames_are_filtered(tmp_path: Path) -> None:
    with running(tmp_path, TCP) as site:
        send(site.port(), b"\n" + linux(1) + b"\n\n")
        wait_until(site.settled, what="spool empty")
        assert site.counts("linux") == (3, 1, 2, 0)


def test_fifty_silent_peers_with_half_a_frame_do_not_delay_another(tmp_path: Path) -> None:
    with running(tmp_path, TCP) as site:
        slow = [socket.create_connection(("127.0.0.1", site.port()), 10) for _ in range(50)]
        for peer in slow:
            peer.sendall(b"<86>1 2026")
        send(site.port(), linux(1) + b"\n")
        assert site.counts("linux")[0] == 1
        for peer in slow:
            peer.close()


def test_tls_takes_octet_counted_frames_and_says_goodbye_when_they_are_safe(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path / "tls")
    source = SourceSettings(parser="linux", transport="tls", listen="127.0.0.1:0", certificate=chain, key=key)
    with running(tmp_path, source) as site:
        send(site.port(), b"no TLS at all\n")
        trust = ssl.create_default_context(cafile=str(chain))
        plain = socket.create_connection(("127.0.0.1", site.port()), 10)
        with trust.wrap_socket(plain, server_hostname="localhost") as peer:
            peer.sendall(counted(linux(1), linux(2)))
            peer.unwrap().close()
        assert site.counts("linux")[0] == 2


def test_a_taken_port_is_refused_with_the_source_and_a_remedy(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        source = SourceSettings(parser="linux", transport="tcp", listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SettingsError, match=r"linux.*free port"), running(tmp_path, source):
            pass
