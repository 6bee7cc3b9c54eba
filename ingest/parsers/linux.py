"""Linux authentication logs: sshd, sudo, su and PAM sessions, in syslog frames or in lines of /var/log.

A program that is not known becomes an event with its text, identifiers in it replaced; a line without structure is
refused. Account names stay readable, as in windows.py. Sources: OpenSSH ``auth.c`` and ``auth-pam.c``, the sudo
manual (LOG FORMAT), Linux-PAM ``pam_unix``.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from ingest import syslog
from ingest.address import address
from ingest.parsers import Parsed, Parser, Record, Site, lines
from ingest.parsers.charset import text
from ingest.scrub import Action
from wardwatch.errors import DecodeError, ParseError
from wardwatch.event import Document, LogSource, parse_time, rfc3339

_FILE_PRIORITY = b"<86>"  # authpriv.info: a file does not keep the priority
_OLD_TIME = re.compile(rb"[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \S+ \S")
_NEW_TIME = re.compile(rb"(\d{4}-\d\d-\d\dT\S{8,30}) (\S{1,255}) ([^\s:\[]{1,48})(?:\[(\d{1,10})\])?: ")
_AUTHENTICATION = ["authentication"]
_UNKNOWN: Document = {"event.category": ["host"], "event.type": ["info"], "event.action": "syslog-message"}
_Pattern = tuple[re.Pattern[str], Callable[[re.Match[str]], Document]]


def parse(record: Record, site: Site) -> list[Parsed]:
    """Return the one event of a line; raises ParseError when it has no time or no program."""
    message = _message(record, site)
    if message.timestamp is None or not message.app:
        raise ParseError("no time and program as syslog writes them", step="linux")
    body = text(message.body, site.charset).strip()
    program = message.app.rpartition("/")[2]
    service = _SERVICES.get(program, "")
    doc: Document = {
        "@timestamp": rfc3339(message.timestamp),
        "event.kind": "event",
        "event.module": "linux",
        "event.dataset": f"linux.{service or 'syslog'}",
        "process.name": program,
    }
    if message.host:
        doc["host.name"] = message.host
    if message.process_id.isdecimal():
        doc["process.pid"] = int(message.process_id[:18])
    found = _meaning(program, body)
    doc.update(found or {**_UNKNOWN, "message": body})
    return [Parsed(doc, LogSource("linux", service=service))]


def _message(record: Record, site: Site) -> syslog.Syslog:
    frame = record.data.lstrip()
    if frame.startswith(b"<"):
        return syslog.parse(frame, zone=site.zone, received=record.received)
    modern = _NEW_TIME.match(frame)
    if modern:
        time, host, app, pid = (part.decode("utf-8", "replace") if part else "" for part in modern.groups())
        try:
            return syslog.Syslog(None, None, parse_time(time), host, app, pid, "", frame[modern.end() :])
        except DecodeError:
            raise ParseError("not a time", step="linux") from None
    if not _OLD_TIME.match(frame):
        raise ParseError("neither a syslog frame nor a line of a log file", step="linux")
    return syslog.parse(_FILE_PRIORITY + frame, zone=site.zone, received=record.received)


def _meaning(program: str, body: str) -> Document | None:
    """Return the fields of the first pattern that the text is of."""
    for pattern, fields in _PATTERNS.get(program, []) + _PAM:
        found = pattern.match(body)
        if found:
            return fields(found)
    return None


def _login(outcome: str, action: str) -> Callable[[re.Match[str]], Document]:
    def fields(found: re.Match[str]) -> Document:
        groups = found.groupdict()
        doc: Document = {
            "event.category": _AUTHENTICATION,
            "event.type": ["start"] if outcome == "success" else ["info"],
            "event.action": action,
            "event.outcome": outcome,
        }
        if groups.get("user"):
            doc["user.name"] = groups["user"]
        if groups.get("method"):
            doc["sshd.method"] = groups["method"]
        if groups.get("invalid"):
            doc["sshd.invalid_user"] = True
        doc.update(_origin(groups))
        return doc

    return fields


def _origin(groups: dict[str, str | None]) -> Document:
    doc: Document = {}
    peer = groups.get("peer") or ""
    found = address(peer)
    if found:
        doc["source.ip"] = found
    elif peer:
        doc["source.domain"] = peer
    port = groups.get("port")
    if port:
        doc["source.port"] = int(port)
    return doc


def _session(found: re.Match[str]) -> Document:
    opened = found["change"] == "opened"
    doc: Document = {
        "event.category": ["session"],
        "event.type": ["start" if opened else "end"],
        "event.action": f"session-{found['change']}",
        "event.outcome": "success",
        "user.name": found["user"],
    }
    if found["by"]:
        doc["user.effective.name"] = found["user"]
        doc["user.name"] = found["by"]
    return doc


def _sudo(found: re.Match[str]) -> Document:
    refusal = (found["refusal"] or "").strip(" ;")
    doc: Document = {
        "event.category": ["process"],
        "event.type": ["start"] if not refusal else ["denied"],
        "event.action": "sudo-command" if not refusal else "sudo-refused",
        "event.outcome": "success" if not refusal else "failure",
        "user.name": found["user"],
        "user.effective.name": found["target"],
        "process.working_directory": found["folder"],
        "process.command_line": found["command"],
    }
    if refusal:
        doc["event.reason"] = refusal
    return doc


def _su(found: re.Match[str]) -> Document:
    failed = found["failed"] is not None
    return {
        "event.category": _AUTHENTICATION,
        "event.type": ["start"] if not failed else ["info"],
        "event.action": "su",
        "event.outcome": "failure" if failed else "success",
        "user.name": found["user"],
        "user.effective.name": found["target"],
    }


_FROM = r"from (?P<peer>\S+)(?: port (?P<port>\d{1,5}))?"
# the user is greedy: whoever logs in chooses it, and one named "x from 10.0.0.1 port 1" must not choose the address
_USER = r"(?P<invalid>invalid user )?(?P<user>.{0,256})"
_SSHD: list[_Pattern] = [
    (
        re.compile(rf"Accepted (?P<method>\S+) for (?P<user>.{{1,256}}) {_FROM}"),
        _login("success", "ssh-login"),
    ),
    (re.compile(rf"Failed (?P<method>\S+) for {_USER} {_FROM}(?: ssh2)?"), _login("failure", "ssh-login")),
    (re.compile(rf"(?P<invalid>Invalid user) (?P<user>.{{0,256}}) {_FROM}$"), _login("failure", "ssh-invalid-user")),
    (
        re.compile(
            r"(?:Connection (?:closed|reset) by|Disconnected from|Disconnecting) "
            r"(?:authenticating|(?P<invalid>invalid)) user (?P<user>.{0,256}) (?P<peer>[\da-fA-F.:]+) "
            r"port (?P<port>\d{1,5})"
        ),
        _login("failure", "ssh-connection-closed"),
    ),
    (
        re.compile(
            r"(?:error: )?maximum authentication attempts exceeded for "
            rf"{_USER} {_FROM}"
        ),
        _login("failure", "ssh-attempts-exceeded"),
    ),
]
_SUDO: list[_Pattern] = [
    (
        re.compile(
            r"(?P<user>\S{1,256}) : (?P<refusal>(?:user NOT in sudoers|command not allowed|a password is required|"
            r"\d+ incorrect password attempts?|user NOT authorized on host)[^;]* ; )?(?:TTY=\S* ; )?"
            r"PWD=(?P<folder>.{0,4096}?) ; USER=(?P<target>\S{1,256}) ; (?:GROUP=\S+ ; )?(?:ENV=.{0,4096}? ; )?"
            r"COMMAND=(?P<command>.*)",
            re.S,
        ),
        _sudo,
    )
]
_SU: list[_Pattern] = [
    (re.compile(r"(?P<failed>FAILED SU )\(to (?P<target>\S{1,256})\) (?P<user>\S{1,256}) on"), _su),
    (re.compile(r"(?P<failed>(?!))?\(to (?P<target>\S{1,256})\) (?P<user>\S{1,256}) on"), _su),
    (re.compile(r"(?P<failed>(?!))?Successful su for (?P<target>\S{1,256}) by (?P<user>\S{1,256})"), _su),
    (re.compile(r"(?P<failed>FAILED) su for (?P<target>\S{1,256}) by (?P<user>\S{1,256})"), _su),
]
_PAM: list[_Pattern] = [
    (
        re.compile(
            r"pam_unix\([^)]{1,64}\): session (?P<change>opened|closed) for user (?P<user>[^\s(]{1,256})"
            r"(?:\(uid=\d+\))?(?: by (?P<by>[^\s(]{1,256})?\(uid=\d+\))?"
        ),
        _session,
    ),
    (
        re.compile(
            r"(?:pam_\w+\([^)]{1,64}\): )?authentication failure; logname=\S* uid=\d* euid=\d* tty=\S* ruser=\S* "
            r"rhost=(?P<peer>\S*)(?: +user=(?P<user>\S{1,256}))?"
        ),
        _login("failure", "authentication-failure"),
    ),
]
_PATTERNS = {"sshd": _SSHD, "sshd-session": _SSHD, "sudo": _SUDO, "su": _SU}
_SERVICES = {
    "sshd": "sshd",
    "sshd-session": "sshd",
    "sudo": "sudo",
    "su": "auth",
    "login": "auth",
    "systemd-logind": "auth",
    "polkitd": "auth",
    "passwd": "auth",
    "useradd": "auth",
    "usermod": "auth",
    "groupadd": "auth",
}
_TEXTS = ("message", "process.command_line", "process.working_directory")

PARSER = Parser(
    "linux",
    lines,
    parse,
    dict.fromkeys(_TEXTS, Action.TEXT),
    title="Linux logins and privileges",
    reads="sshd, sudo, su, PAM sessions and others, by syslog or from files",
    logsources=(LogSource("linux", service="*"),),
)
