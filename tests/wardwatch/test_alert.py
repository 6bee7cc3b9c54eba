from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardwatch.alert import Severity, alert_id, parse_alert_id
from wardwatch.errors import NotFound

START = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.from_regex(r"[a-z0-9_]{1,40}", fullmatch=True), st.text(), st.text())
def test_tenant_and_month_can_be_read_from_an_alert_id(tenant: str, rule: str, group: str) -> None:
    assert parse_alert_id(alert_id(tenant, rule, group, START)) == (tenant, "202603")


def test_the_id_tells_tenants_rules_groups_and_windows_apart() -> None:
    ids = {
        alert_id("a", "r", "g", START),
        alert_id("b", "r", "g", START),
        alert_id("a", "s", "g", START),
        alert_id("a", "r", "h", START),
        alert_id("a", "rg", "", START),
        alert_id("a", "r", "g", START.replace(hour=1)),
    }
    assert len(ids) == 6


@pytest.mark.parametrize(
    "hostile", ["", "a", "a-b-c", "../x-202603-00", "A-202603-00", "a-20260a-00", "a-202603", "--"]
)
def test_what_is_no_alert_id_is_not_found(hostile: str) -> None:
    with pytest.raises(NotFound):
        parse_alert_id(hostile)


def test_severity_numbers_are_those_that_elastic_security_reads() -> None:
    numbers = {severity.value: severity.number for severity in Severity}
    assert numbers == {"informational": 21, "low": 21, "medium": 47, "high": 73, "critical": 99}
