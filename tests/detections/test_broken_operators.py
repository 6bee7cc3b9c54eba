"""The differential tests find operators that are broken on purpose: an oracle that finds nothing proves nothing.

Which of them find each: ``WARDWATCH_WHOLE_MATRIX=1 pytest tests/detections/test_broken_operators.py
--timeout 0 --junit-xml broken.xml`` (minutes).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from hypothesis import Phase, given, seed, settings

from detections.sigma import condition, operators, pieces, scanner
from tests.detections.answers import WHOLE, Property
from tests.detections.broken import BROKEN
from tests.detections.differential import CHECKS, Case

EXAMPLES = 600
ROUNDS = 6


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    """Forget what was compiled, before the test and after it."""
    forget()
    yield
    forget()


def forget() -> None:
    operators.acceptor.cache_clear()
    operators.addresses.cache_clear()
    scanner._shared.clear()
    pieces.pieces.cache_clear()
    condition._parse.cache_clear()


def finds(name: str) -> bool:
    """Tell whether a check fails within some hundred examples, or some hundred others."""
    return any(map(partial(_fails, name), range(ROUNDS)))


def _fails(name: str, number: int) -> bool:
    cases, check = CHECKS[name]

    @seed(number)
    @settings(max_examples=EXAMPLES, database=None, phases=[Phase.generate], report_multiple_bugs=False)
    @given(cases)
    def run(case: Case) -> None:
        check(*case)

    try:
        run()
    except Exception:
        return True
    return False


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_operator_is_found(what: str, monkeypatch: pytest.MonkeyPatch, record_property: Property) -> None:
    finder, break_it = BROKEN[what]
    break_it(monkeypatch)
    found = [name for name in (CHECKS if WHOLE else [finder]) if finds(name)]
    record_property("found by", ", ".join(found))
    assert finder in found
