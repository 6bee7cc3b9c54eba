"""Framing as properties: where a network cuts the bytes changes nothing, and no bytes crash or are lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.framing import FrameError, Framing, MllpFraming, SyslogFraming

FRAMINGS = [SyslogFraming, MllpFraming]
PIECES = [
    b"<1>a",
    b"4 <1>a",
    b"9 <1>a",
    b"12",
    b" ",
    b"\n",
    b"\r\n",
    b"\x0b",
    b"MSH|",
    b"\x1c\r",
    b"\x1c",
    b"x",
    b"\xff",
]
STREAMS = st.one_of(st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join))
CUTS = st.lists(st.integers(0, 80), max_size=8).map(sorted)


def cut(framing: Framing, parts: Iterable[bytes]) -> tuple[list[bytes], str, bytes]:
    """Return the frames of a connection, and what ended it: the reason and the bytes at which cutting ended."""
    frames: list[bytes] = []
    try:
        for part in parts:
            frames += framing.feed(part)
        return [*frames, *framing.end()], "", b""
    except FrameError as error:
        return [*frames, *error.frames], error.reason, error.rest


def parts_of(stream: bytes, cuts: Sequence[int]) -> list[bytes]:
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@pytest.mark.parametrize("framing", FRAMINGS)
@given(stream=STREAMS, cuts=CUTS)
def test_frames_are_the_same_wherever_the_bytes_are_cut(
    framing: Callable[[], Framing], stream: bytes, cuts: list[int]
) -> None:
    frames, reason, _ = cut(framing(), parts_of(stream, cuts))
    whole, whole_reason, _ = cut(framing(), [stream])
    assert (frames, reason) == (whole, whole_reason)


@pytest.mark.parametrize("framing", FRAMINGS)
@given(stream=STREAMS, cuts=CUTS)
def test_every_byte_that_is_not_punctuation_is_in_a_frame_or_in_what_is_refused(
    framing: Callable[[], Framing], stream: bytes, cuts: list[int]
) -> None:
    fed = b""

    def parts() -> Iterator[bytes]:
        nonlocal fed
        for part in parts_of(stream, cuts):
            fed += part
            yield part

    frames, _, rest = cut(framing(), parts())
    kept = b"".join(frames) + rest
    assert all(kept.count(byte) >= fed.count(byte) for byte in (b"a", b"x", b"\xff", b"MSH|"))


@given(messages=st.lists(st.binary(max_size=40).map(lambda data: b"<" + data), max_size=8), cuts=CUTS)
def test_counted_messages_come_out_as_they_were_sent(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"%d %s" % (len(message), message) for message in messages)
    assert cut(SyslogFraming(), parts_of(stream, cuts)) == (messages, "", b"")


@given(messages=st.lists(st.binary(max_size=40).map(lambda data: data.replace(b"\x1c", b"")), max_size=8), cuts=CUTS)
def test_mllp_messages_come_out_as_they_were_sent(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(b"\x0b" + message + b"\x1c\r" for message in messages)
    assert cut(MllpFraming(), parts_of(stream, cuts)) == (messages, "", b"")
