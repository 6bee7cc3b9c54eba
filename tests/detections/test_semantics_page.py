"""The page that tells rule writers what holds each row of the semantics, against the tests that there are."""

from __future__ import annotations

import re
from pathlib import Path

HERE = Path(__file__).parent
MEANING, _, HELD = (HERE.parents[1] / "docs/rules/semantics.md").read_text("utf-8").partition("## Which test")


def topics(page: str) -> set[str]:
    return set(re.findall(r"^\| (.+?) \|", page, re.MULTILINE)) - {"topic"}


def test_every_test_on_the_page_is_one() -> None:
    defined = {
        name for file in HERE.rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", file.read_text(), re.M)
    }
    named = set(re.findall(r"test_\w+", HELD))
    assert len(named) > 50
    assert named <= defined


def test_every_topic_has_a_test() -> None:
    assert topics(MEANING) <= topics(HELD)
