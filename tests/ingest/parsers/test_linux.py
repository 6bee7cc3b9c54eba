"""Linux authentication logs."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers import Parsed, Record, Site
from ingest.parsers.linux import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import encode

SITE = Site(ZoneInfo("Asia/Shanghai"))
RECEIVED = datetime(2026, 3, 1, 0, 0, tzinfo=UTC)


def one(line: str | bytes) -> Parsed:
    data = line if isinstance(line, bytes) else line.encode()
    (parsed,) = PARSER.parse(Record(data, received=RECEIVED), SITE)
    encode(parsed.doc)
    return parsed


def said(program: str, text: str) -> dict[str, Any]:
    return one(f"Mar  1 02:11:09 lis-02 {program}[77]: {text}").doc


def test_frames_and_lines_of_files_read_the_same() -> None:
    text = "Accepted password for root from 10.3.9.14 port 40022 ssh2"
    expected = {
        "@timestamp": "2026-02-28T18:11:09.000Z",
        "event.kind": "event",
        "event.module": "linux",
        "event.dataset": "linux.sshd",
        "event.category": ["authentication"],
        "event.type": ["start"],
        "event.action": "ssh-login",
        "event.outcome": "success",
        "host.name": "lis-02",
        "process.name": "sshd",
        "process.pid": 77,
        "user.name": "root",
        "source.ip": "10.3.9.14",
        "source.port": 40022,
        "sshd.method": "password",
    }
    for line in (
        f"Mar  1 02:11:09 lis-02 sshd[77]: {text}",
        f"<38>Mar  1 02:11:09 lis-02 sshd[77]: {text}",
        f"<86>1 2026-02-28T18:11:09Z lis-02 sshd 77 - - {text}",
        f"2026-03-01T02:11:09.000000+08:00 lis-02 sshd[77]: {text}",
    ):
        parsed = one(line)
        assert parsed.doc == expected
        assert parsed.logsource.service == "sshd"


@pytest.mark.parametrize(
    ("text", "user", "source"),
    [
        ("Failed password for invalid user oracle from 198.51.100.7 port 53211 ssh2", "oracle", "198.51.100.7"),
        ("Failed none for invalid user  from 2001:db8::7 port 53211 ssh2", None, "2001:db8::7"),
        ("Failed publickey for ops from 10.3.9.14 port 1 ssh2: RSA SHA256:ab", "ops", "10.3.9.14"),
        ("Invalid user test from 198.51.100.7 port 41000", "test", "198.51.100.7"),
        ("Connection closed by authenticating user root 198.51.100.7 port 4 [preauth]", "root", "198.51.100.7"),
        ("Connection reset by invalid user a b 198.51.100.7 port 4 [preauth]", "a b", "198.51.100.7"),
        ("error: maximum authentication attempts exceeded for root from 10.1.1.1 port 4 ssh2", "root", "10.1.1.1"),
    ],
)
def test_failed_logins_name_account_and_source(text: str, user: str | None, source: str) -> None:
    doc = said("sshd", text)
    assert doc["event.outcome"] == "failure"
    assert doc["event.category"] == ["authentication"]
    assert doc.get("user.name") == user
    assert doc["source.ip"] == source


def test_an_account_name_cannot_choose_the_source_address() -> None:
    doc = said("sshd", "Failed password for invalid user x from 10.0.0.1 port 1 from 198.51.100.7 port 53211 ssh2")
    assert (doc["source.ip"], doc["source.port"]) == ("198.51.100.7", 53211)


def test_sudo_says_who_ran_what_as_whom() -> None:
    doc = said("sudo", "     ops : TTY=pts/0 ; PWD=/home/ops ; USER=root ; COMMAND=/bin/sh -c 'a ; b'")
    assert (doc["user.name"], doc["user.effective.name"]) == ("ops", "root")
    assert doc["process.command_line"] == "/bin/sh -c 'a ; b'"
    assert doc["event.outcome"] == "success"


@pytest.mark.parametrize("reason", ["user NOT in sudoers", "command not allowed", "3 incorrect password attempts"])
def test_refused_sudo_is_a_failure_with_its_reason(reason: str) -> None:
    doc = said("sudo", f"  intern : {reason} ; TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/bin/bash")
    assert (doc["event.action"], doc["event.outcome"], doc["event.reason"]) == ("sudo-refused", "failure", reason)


@pytest.mark.parametrize(
    ("program", "text", "action", "outcome", "user"),
    [
        ("su", "FAILED SU (to root) intern on pts/1", "su", "failure", "intern"),
        ("su", "(to root) ops on pts/0", "su", "success", "ops"),
        (
            "su",
            "pam_unix(su-l:session): session opened for user root by ops(uid=1001)",
            "session-opened",
            "success",
            "ops",
        ),
        ("sshd", "pam_unix(sshd:session): session closed for user ops", "session-closed", "success", "ops"),
        (
            "sudo",
            "pam_unix(sudo:auth): authentication failure; logname=a uid=1 euid=0 tty=/dev/pts/1 ruser=a rhost=  user=a",
            "authentication-failure",
            "failure",
            "a",
        ),
    ],
)
def test_su_and_pam_are_understood(program: str, text: str, action: str, outcome: str, user: str) -> None:
    doc = said(program, text)
    assert (doc["event.action"], doc["event.outcome"], doc["user.name"]) == (action, outcome, user)


def test_other_programs_keep_their_text_for_the_scrub() -> None:
    doc = said("kernel", "usb 1-1: new device")
    assert (doc["process.name"], doc["message"]) == ("kernel", "usb 1-1: new device")
    assert "message" in PARSER.policy


@pytest.mark.parametrize(
    "line",
    [
        "",
        "words without structure",
        "<999>Mar  1 02:11:09 h sshd: x",
        "<38>",
        "Mar 41 02:11:09 h sshd: x",
        "2026-13-01T00:00:00+08:00 h sshd: x",
        "2026-03-01T00:00:00.0000 h sshd: x",
    ],
)
def test_lines_without_structure_are_refused(line: str) -> None:
    with pytest.raises(ParseError):
        one(line)


@given(st.binary(max_size=300) | st.text().map(lambda text: b"<38>Mar  1 02:11:09 h sshd[1]: " + text.encode()))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        one(data)


@pytest.mark.parametrize("program", ["sshd", "sudo", "su", "cron"])
def test_long_hostile_text_takes_no_long_time(program: str) -> None:
    for part in (
        "Failed password for " + "from 1 port 1 " * 20_000,
        "a : " + "PWD=x ; USER=y ; " * 20_000,
        " " * 200_000,
    ):
        assert said(program, part)["process.name"] == program
