"""The records of reveals as events."""

from __future__ import annotations

import pytest

from tests.ingest.parsers.reading import one, part, sample
from wardwatch.errors import ParseError


def test_a_reveal_tells_who_what_and_for_which_case() -> None:
    alone, together, refused, _ = sample("reveal")
    assert part(alone, "user.id", "user.roles", "reveal.count", "reveal.tokens", "reveal.case", "event.outcome") == (
        "li.na",
        ["privacy-officer"],
        1,
        ["pt_5d2c8a91b7e6f4031c2a9d08"],
        "INC-2026-031",
        "success",
    )
    assert part(alone, "reveal.guarded", "reveal.second_person") == (False, None)
    assert part(together, "reveal.guarded", "reveal.second_person") == (True, "chen")
    assert part(refused, "event.outcome", "reveal.guarded") == ("failure", False)


def test_a_look_at_raw_records_tells_who_and_of_which_source() -> None:
    *_, tapped = sample("reveal")
    assert part(tapped, "event.action", "user.id", "tap.source") == ("tap", "service", "hl7v2")


@pytest.mark.parametrize(
    "record", ["", "{}", '{"agent":[],"entity":[]}', '{"agent":[{}],"entity":[{"what":1}]}', "[1]"]
)
def test_what_is_no_reveal_is_refused(record: str) -> None:
    with pytest.raises(ParseError):
        one("reveal", record)
