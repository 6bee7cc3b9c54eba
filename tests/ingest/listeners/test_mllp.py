from __future__ import annotations

import socket
from pathlib import Path

import hl7  # type: ignore[import-untyped]
from hl7.client import MLLPClient  # type: ignore[import-untyped]

from ingest.listeners.mllp import acknowledge
from tests.ingest.running import HL7, dead_letters, running
from wardwatch.settings import SourceSettings
from wardwatch.testing.ports import wait_until

MLLP = SourceSettings(parser="hl7v2", transport="mllp", listen="127.0.0.1:0")


def test_a_message_is_answered_with_aa_when_it_is_durable(tmp_path: Path) -> None:
    with running(tmp_path, MLLP, forward=False) as site:
        with MLLPClient("127.0.0.1", site.port()) as client:
            answer = hl7.parse(client.send_message((HL7 % 77).decode()).decode().strip("\x0b\x1c\r"))
        assert str(answer.segment("MSA")[1]) == "AA"
        assert str(answer.segment("MSA")[2]) == "77"
        assert [str(answer.segment("MSH")[n]) for n in (3, 4, 5, 6)] == ["LIS", "LAB", "HIS", "RENAI"]
        assert site.intake.spool.waiting == 1


def test_two_messages_in_one_segment_and_one_in_three_are_each_answered(tmp_path: Path) -> None:
    framed = [b"\x0b" + HL7 % number + b"\x1c\r" for number in (1, 2, 3)]
    with running(tmp_path, MLLP) as site, socket.create_connection(("127.0.0.1", site.port()), 10) as peer:
        peer.sendall(framed[0] + framed[1])
        for part in (framed[2][:10], framed[2][10:50], framed[2][50:]):
            peer.sendall(part)
        answers = b""
        while answers.count(b"\x1c\r") < 3:
            answers += peer.recv(4096)
        assert [b"MSA|AA|%d" % number in answers for number in (1, 2, 3)] == [True] * 3


def test_what_is_no_hl7_is_answered_with_ar_and_dead_lettered(tmp_path: Path) -> None:
    with running(tmp_path, MLLP) as site, socket.create_connection(("127.0.0.1", site.port()), 10) as peer:
        peer.sendall(b"\x0bMSX|nonsense \xff\x00\x1c\r")
        assert b"MSA|AR" in peer.recv(4096)
        peer.sendall(b"\x0b" + HL7 % 5 + b"\x1c\r")
        assert b"MSA|AA|5" in peer.recv(4096)
        wait_until(site.settled, what="spool empty")
        assert [letter["source"] for letter in dead_letters(site.settings)] == ["hl7v2"]


def test_a_full_spool_is_answered_with_ae_and_with_aa_when_there_is_room_again(tmp_path: Path) -> None:
    with (
        running(tmp_path, MLLP, forward=False, spool_bytes=2**20) as site,
        socket.create_connection(("127.0.0.1", site.port()), 10) as peer,
    ):
        answers, kept = b"", 0
        while b"MSA|AE|" not in answers:
            answers = exchange(peer, 100)
            kept += answers.count(b"MSA|AA|")
            assert kept * len(HL7) < 2**20, "more was acknowledged than the spool holds"
        assert site.counts("hl7v2")[0] == site.intake.spool.waiting == kept
        site.intake.spool.ack(site.intake.spool.read())
        assert b"MSA|AA|" in exchange(peer, 1)


def exchange(peer: socket.socket, count: int) -> bytes:
    """Send so many messages at once and return their answers."""
    peer.sendall(b"".join(b"\x0b" + HL7 % number + b"\x1c\r" for number in range(count)))
    answers = b""
    while answers.count(b"\x1c\r") < count:
        received = peer.recv(65_536)
        assert received, "the collector hung up"
        answers += received
    return answers


def test_an_acknowledgement_keeps_separators_character_set_and_trigger() -> None:
    message = b"MSH|*~\\&|A|B|C|D|2026||ADT*A01|9|T|2.3||||||GBK\rPID|1"
    segments = acknowledge(message, b"AA").split(b"\r")
    fields = segments[0].split(b"|")
    assert (fields[1], fields[8], fields[10], fields[11], fields[17]) == (
        b"*~\\&",
        b"ACK*A01*ACK",
        b"T",
        b"2.3",
        b"GBK",
    )
    assert segments[1] == b"MSA|AA|9"
