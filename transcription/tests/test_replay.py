"""The replay buffer, against plain bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.engine.replay import ReplayBuffer

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.binary(max_size=50)),
        st.tuples(st.just("trim"), st.integers(-10, 300)),
    ),
    max_size=30,
)


@given(st.integers(0, 100), STEPS)
def test_it_holds_what_plain_bytes_would_hold(start: int, steps: list[tuple[str, bytes | int]]) -> None:
    buffer, everything, floor = ReplayBuffer(start), b"", start

    for name, value in steps:
        if name == "append":
            assert isinstance(value, bytes)
            everything += value
            assert buffer.append(value) == start + len(everything)
        else:
            assert isinstance(value, int)
            buffer.trim(value)
            floor = min(max(floor, value), start + len(everything))
        assert (buffer.start, buffer.end) == (floor, start + len(everything))
        assert buffer.read(buffer.start, buffer.end) == everything[floor - start :]


@given(st.binary(max_size=40), st.integers(-5, 50), st.integers(-5, 50))
def test_it_gives_exactly_the_bytes_asked_for_or_none(data: bytes, first: int, last: int) -> None:
    buffer = ReplayBuffer(3)
    buffer.append(data)

    if 3 <= first <= last <= 3 + len(data):
        assert buffer.read(first, last) == data[first - 3 : last - 3]
    else:
        with pytest.raises(ValueError, match="outside"):
            buffer.read(first, last)


def test_what_was_trimmed_is_gone_for_good() -> None:
    buffer = ReplayBuffer()
    buffer.append(b"abcdef")
    buffer.trim(4)

    assert buffer.read(4, 6) == b"ef"
    with pytest.raises(ValueError, match="outside"):
        buffer.read(3, 6)


def test_a_read_is_a_copy_that_later_trims_do_not_change() -> None:
    buffer = ReplayBuffer()
    buffer.append(b"abcdef")
    piece = buffer.read(0, 3)
    buffer.trim(6)
    buffer.append(b"ghi")

    assert piece == b"abc"
