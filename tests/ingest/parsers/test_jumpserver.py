"""JumpServer logs."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_every_kind_of_log_says_who_did_what() -> None:
    assert [(doc["event.action"], doc["event.outcome"], doc["user.name"]) for doc in sample("jumpserver")] == [
        ("bastion-login", "success", "zhang.wei"),
        ("bastion-login", "failure", "admin"),
        ("session-started", "success", "zhang.wei"),
        ("bastion-command", "success", "zhang.wei"),
        ("bastion-file-transfer", "success", "zhang.wei"),
        ("bastion-operation", "success", "admin"),
        ("password-change", "success", "admin"),
    ]


def test_a_command_names_the_account_the_machine_and_not_its_output() -> None:
    doc = sample("jumpserver")[3]
    assert part(doc, "user.target.name", "host.name", "host.ip", "@timestamp") == (
        "oracle",
        "his-db1",
        "10.9.2.2",
        "2026-02-28T18:13:09.000Z",
    )
    assert "done" not in doc.values()


def test_a_kind_that_is_not_known_keeps_its_common_fields() -> None:
    parsed = one("jumpserver", 'jumpserver: other_log - {"user": "li.na", "datetime": "2026-03-01 02:11:09"}')
    assert parsed.logsource == LogSource("jumpserver", "", "")
    assert part(parsed.doc, "user.name", "@timestamp") == ("li.na", "2026-02-28T18:11:09.000Z")


@pytest.mark.parametrize("record", ["", "{}", "jumpserver: login_log", 'jumpserver: login_log - {"datetime":"x"}'])
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("jumpserver", record)
