from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardwatch.text import safe_text


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("a\x00b", "a\\x00b"),
        ("user\u202egnp.exe", "user\\u202egnp.exe"),
        ("\x9b2J", "\\x9b2J"),
        ("over\rwritten", "over\\x0dwritten".replace("\\x0d", "\\r")),
        ("lone \ud800", "lone \\ud800"),
        ("统方 ok\tand\nlines", "统方 ok\tand\nlines"),
    ],
)
def test_what_a_terminal_would_obey_is_made_visible(hostile: str, shown: str) -> None:
    assert safe_text(hostile) == shown


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_control_character_survives(text: str) -> None:
    safe = safe_text(text)
    assert all(c in "\t\n" or (c.isprintable() or ord(c) >= 0xA0) for c in safe)
    assert "\x1b" not in safe
    safe.encode("utf-8")


def test_a_long_text_is_cut_and_marked() -> None:
    assert safe_text("abcdef", limit=4) == "abc…"
