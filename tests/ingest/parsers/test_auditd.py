"""Linux audit records."""

from __future__ import annotations

import pytest

from ingest.catalogue import RECEIVED, events
from ingest.parsers import Record, Site
from ingest.parsers.auditd import PARSER
from wardwatch.errors import ParseError
from wardwatch.event import Document


def docs() -> list[Document]:
    return [one.doc for one in events(PARSER, PARSER.sample())]


def one(data: bytes) -> Document:
    (parsed,) = PARSER.parse(Record(data, received=RECEIVED), Site())
    return parsed.doc


def test_the_records_of_one_event_are_one_event_with_its_command_line() -> None:
    doc = docs()[0]
    assert doc["auditd.type"] == ["SYSCALL", "EXECVE", "CWD", "PATH", "PROCTITLE"]
    assert doc["process.command_line"] == "tar czf /tmp/my x.tgz /opt/his"
    assert (doc["process.executable"], doc["user.id"], doc["event.sequence"]) == ("/usr/bin/tar", "1000", 92733)


def test_a_failed_login_has_its_account_and_address() -> None:
    doc = docs()[1]
    assert (doc["event.category"], doc["event.outcome"]) == (["authentication"], "failure")
    assert (doc["user.name"], doc["source.ip"]) == ("root", "10.3.1.77")
    assert "user.id" not in doc  # auid 4294967295 is nobody


def test_a_record_by_syslog_names_its_node() -> None:
    doc = docs()[2]
    assert (doc["host.name"], doc["event.category"], doc["user.name"]) == ("lis-02", ["iam"], "temp1")


def test_records_of_two_events_are_not_joined() -> None:
    with pytest.raises(ParseError, match="one audit event"):
        one(b"msg=audit(1772302269.155:1): a=1\nmsg=audit(1772302269.155:2): a=1")


@pytest.mark.parametrize("data", [b"", b"type=SYSCALL", b"msg=audit(1:2): x"])
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(ParseError):
        one(data)


def test_the_arguments_of_a_command_are_fields_of_their_own_as_rules_name_them() -> None:
    names = [f"auditd.data.a{number}" for number in range(5)]
    assert [docs()[0].get(name) for name in names] == ["tar", "czf", "/tmp/my x.tgz", "/opt/his", None]


def test_the_registers_of_a_system_call_are_not_arguments() -> None:
    record = b"type=SYSCALL msg=audit(1772302269.155:1): syscall=59 success=yes a0=7ffd a1=0 euid=0"
    doc = one(record)
    assert (doc.get("auditd.data.a0"), doc["auditd.data.euid"]) == (None, "0")
