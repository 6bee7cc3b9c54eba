"""Numbers in the text of events."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detections.correlation.measures import number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.1", Fraction(1, 10)),
        ("1e2", 100),
        ("-3", -3),
        ("9007199254740993", 2**53 + 1),
        ("1e-999999999", 0),
        ("1e999999999", None),
        ("nan", None),
        ("-inf", None),
        ("", None),
        ("4 beds", None),
        ("9" * 301, None),
    ],
)
def test_a_number_is_what_its_digits_say(text: str, expected: object) -> None:
    assert number(text) == expected


@given(st.text("0123456789.-+e_ xinfa٣½²", max_size=12))
def test_no_text_breaks_reading_a_number(text: str) -> None:
    found = number(text)
    assert found is None or found == found + 0
