"""Files are recognised by their first bytes."""

from __future__ import annotations

import pytest

from ingest.parsers import PARSERS, parser
from ingest.recognising import HEAD_BYTES, recognise

DEVICES = PARSERS[PARSERS.index("cef") : PARSERS.index("vcenter") + 1]


@pytest.mark.parametrize("name", DEVICES)
def test_the_sample_of_a_device_or_service_is_recognised(name: str) -> None:
    assert recognise(parser(name).sample()[:HEAD_BYTES])[0] == name


def test_long_hostile_text_takes_no_long_time() -> None:
    for text in (b"a" * HEAD_BYTES, b" " * HEAD_BYTES, b"a " * 100_000, b"client a#1 " * 20_000, b"[" * HEAD_BYTES):
        assert recognise(b"x" + text)[0] in ("", "linux", "bind")
