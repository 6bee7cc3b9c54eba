"""vCenter events."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError
from wardwatch.event import LogSource


def test_logins_permissions_and_machines_are_told_apart() -> None:
    assert [(doc["event.action"], doc["event.outcome"], doc["user.name"]) for doc in sample("vcenter")] == [
        ("vcenter-login", "success", "zhang.wei"),
        ("vcenter-login", "failure", "root"),
        ("vcenter-end", "success", "zhang.wei"),
        ("vcenter-permissions", "success", "Administrator"),
        ("vcenter-deletion", "success", "zhang.wei"),
    ]


def test_a_login_says_from_where_and_with_what() -> None:
    doc = sample("vcenter")[0]
    assert part(doc, "source.ip", "user.domain", "observer.name", "@timestamp") == (
        "10.3.9.14",
        "VSPHERE.LOCAL",
        "vc01",
        "2026-02-28T18:11:09.017Z",
    )
    assert doc["user_agent.original"] == "pyvmomi Python/3.6.8 (Linux; x86_64)"


def test_the_text_is_never_copied() -> None:
    parsed = one("vcenter", "Event [1] [1-1] [2026-03-01T02:11:09Z] [vim.event.Other] [info] [a] [] [1] [secret]")
    assert parsed.logsource == LogSource("vmware", "", "vcenter")
    assert "secret" not in str(parsed.doc)


@pytest.mark.parametrize(
    "record", ["", "Event [1]", "Event [1] [1-1] [yesterday-or-so] [vim.event.X] [info] [a] [b] [1] [c]"]
)
def test_what_is_none_of_its_logs_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("vcenter", record)
