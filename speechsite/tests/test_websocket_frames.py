"""Frames by RFC 6455, with plain values."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechsite.tests.websocket_client import closing, masked
from speechsite.websocket.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    MAX_REASON_BYTES,
    PING,
    PONG,
    TEXT,
    Event,
    FrameReader,
    ProtocolError,
    apply_mask,
    build_close,
    build_frame,
    xor_mask,
)

MAX_BYTES = 100_000


def read(*pieces: bytes, max_size_bytes: int = MAX_BYTES) -> list[Event]:
    reader = FrameReader(max_size_bytes)
    events = []
    for piece in pieces:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            events.append(event)
    return events


def error_of(data: bytes, max_size_bytes: int = MAX_BYTES) -> int:
    with pytest.raises(ProtocolError) as caught:
        read(data, max_size_bytes=max_size_bytes)
    return caught.value.code


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 3200, 65535, 65536, MAX_BYTES])
def test_it_reads_messages_of_every_size(size: int) -> None:
    payload = bytes(number % 251 for number in range(size))

    assert read(masked(BINARY, payload)) == [(BINARY, payload)]


def test_it_reads_text() -> None:
    assert read(masked(TEXT, "grüße €".encode())) == [(TEXT, "grüße €")]


def test_it_reads_several_frames_of_one_segment() -> None:
    assert read(masked(TEXT, b"a") + masked(BINARY, b"b") + masked(PING, b"c") + masked(PONG)) == [
        (TEXT, "a"),
        (BINARY, b"b"),
        (PING, b"c"),
        (PONG, b""),
    ]


def test_it_joins_fragments_and_reads_what_comes_between_them() -> None:
    data = (
        masked(TEXT, b"one ", first=TEXT)
        + masked(PING, b"?")
        + masked(CONTINUATION, b"two ", first=CONTINUATION)
        + masked(CONTINUATION, b"", first=CONTINUATION)
        + masked(CONTINUATION, b"three")
        + masked(BINARY, b"next")
    )

    assert read(data) == [(PING, b"?"), (TEXT, "one two three"), (BINARY, b"next")]


def test_a_character_may_be_cut_by_fragments() -> None:
    euro = "€".encode()

    assert read(masked(TEXT, euro[:1], first=TEXT), masked(CONTINUATION, euro[1:])) == [(TEXT, "€")]


def test_an_unfinished_frame_waits_and_nothing_else_is_kept() -> None:
    reader = FrameReader(MAX_BYTES)
    frame = masked(BINARY, b"x" * 3200)

    reader.feed(frame + frame[:100])

    assert reader.next() == (BINARY, b"x" * 3200)
    assert reader.next() is None
    assert reader.waiting_bytes == 100
    reader.feed(frame[100:])
    assert reader.next() == (BINARY, b"x" * 3200)
    assert reader.waiting_bytes == 0


@pytest.mark.parametrize("first", [0x83, 0x87, 0x8B, 0x8F, 0xC2, 0xA2, 0x92, 0xF1], ids=hex)
def test_unknown_opcodes_and_reserved_bits_are_protocol_errors(first: int) -> None:
    assert error_of(masked(0, b"", first=first)) == 1002


@pytest.mark.parametrize(
    "data",
    [
        build_frame(BINARY, b"unmasked"),
        masked(PING, b"x" * 126),
        masked(CLOSE, b"\x03\xe8" + b"x" * 124),
        masked(PING, b"", first=PING),
        masked(CLOSE, b"", first=CLOSE),
        masked(CONTINUATION, b"of nothing"),
        masked(CONTINUATION, b"of nothing", first=CONTINUATION),
        masked(TEXT, b"a", first=TEXT) + masked(TEXT, b"b"),
        masked(TEXT, b"a", first=TEXT) + masked(BINARY, b"b", first=BINARY),
        masked(TEXT, b"a", first=TEXT) + masked(CONTINUATION, b"b") + masked(CONTINUATION, b"c"),
    ],
)
def test_what_clients_must_not_send_is_a_protocol_error(data: bytes) -> None:
    assert error_of(data) == 1002


@pytest.mark.parametrize("text", [b"\xff", b"\xed\xa0\x80", b"\xc0\xaf", b"\xf4\x90\x80\x80", "€".encode()[:2]])
def test_text_that_is_not_utf_8_is_bad_data(text: bytes) -> None:
    assert error_of(masked(TEXT, text)) == 1007
    assert error_of(masked(TEXT, text[:1], first=TEXT) + masked(CONTINUATION, text[1:])) == 1007


def test_a_message_over_the_limit_is_refused_before_it_has_come() -> None:
    frame = masked(BINARY, b"x" * 1001)

    assert error_of(frame[:8], max_size_bytes=1000) == 1009
    assert read(masked(BINARY, b"x" * 1000), max_size_bytes=1000)
    assert error_of(b"\x82\xff" + b"\xff" * 8 + b"mask") == 1009


def test_fragments_count_together_and_control_frames_do_not() -> None:
    start = masked(BINARY, b"x" * 600, first=BINARY)

    assert len(read(start, masked(PING, b"x" * 125), masked(CONTINUATION, b"x" * 400), max_size_bytes=1000)) == 2
    assert error_of(start + masked(CONTINUATION, b"x" * 401)[:8], max_size_bytes=1000) == 1009


def test_endless_empty_fragments_keep_nothing() -> None:
    reader = FrameReader(MAX_BYTES)
    reader.feed(masked(TEXT, b"", first=TEXT) + masked(CONTINUATION, b"", first=CONTINUATION) * 10_000)

    assert reader.next() is None
    assert reader.waiting_bytes == 0


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 4999])
def test_it_reads_close_codes(code: int) -> None:
    assert read(closing(code, "wegen Übergröße".encode())) == [(CLOSE, (code, "wegen Übergröße"))]


def test_an_empty_close_has_no_code() -> None:
    assert read(masked(CLOSE)) == [(CLOSE, (1005, ""))]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535])
def test_close_codes_of_no_frame_are_protocol_errors(code: int) -> None:
    assert error_of(closing(code)) == 1002
    if code != 1005:
        with pytest.raises(ValueError, match="cannot be sent"):
            build_close(code)


def test_half_a_close_code_is_a_protocol_error_and_a_bad_reason_is_bad_data() -> None:
    assert error_of(masked(CLOSE, b"\x03")) == 1002
    assert error_of(closing(1000, b"\xff")) == 1007


def test_a_long_reason_is_cut_between_characters() -> None:
    frame = build_close(1000, "€" * 100)

    assert len(frame) - 2 <= 125
    assert frame[4:].decode() == "€" * (MAX_REASON_BYTES // 3)
    assert build_close(1005) == b"\x88\x00"


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_it_builds_the_shortest_head(size: int, head: bytes) -> None:
    assert build_frame(BINARY, b"x" * size) == head + b"x" * size


@given(st.binary(max_size=70), st.binary(min_size=4, max_size=4))
def test_masking_twice_changes_nothing_and_c_and_python_agree(data: bytes, mask: bytes) -> None:
    assert xor_mask(data, mask) == apply_mask(data, mask)
    assert xor_mask(xor_mask(data, mask), mask) == data


controls = st.sampled_from([masked(PING, b"ping"), masked(PONG, b"p" * 125), b"", b""])
repeated = st.builds(lambda part, times: part * times, st.binary(min_size=1, max_size=8), st.sampled_from([20, 9000]))
payloads = st.one_of(st.binary(max_size=300), repeated)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message of a valid stream, in up to four fragments with control frames between them."""
    text = draw(st.booleans())
    payload = draw(st.text(max_size=200)).encode() if text else draw(payloads)
    cuts = sorted(draw(st.lists(st.integers(0, len(payload)), max_size=3)))
    parts = [payload[start:end] for start, end in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    opcodes = [TEXT if text else BINARY, *[CONTINUATION] * (len(parts) - 1)]
    fins = [0] * (len(parts) - 1) + [FIN]
    frames = [masked(opcode, part, first=fin | opcode) for opcode, part, fin in zip(opcodes, parts, fins, strict=True)]
    return b"".join(draw(controls) + frame for frame in frames)


@given(st.lists(messages(), max_size=4).map(b"".join), st.data())
def test_however_a_stream_is_cut_it_means_the_same(stream: bytes, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert read(*pieces) == read(stream)


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_whatever_comes_is_read_or_a_protocol_error(pieces: list[bytes]) -> None:
    with contextlib.suppress(ProtocolError):
        read(*pieces, max_size_bytes=50)


@given(
    st.lists(
        st.builds(
            lambda first, payload: masked(0, payload, first=first),
            st.sampled_from([0x00, 0x80, 0x01, 0x81, 0x02, 0x82, 0x88, 0x89, 0x8A]),
            st.binary(max_size=130),
        ),
        max_size=8,
    )
)
def test_frames_in_any_order_are_read_or_a_protocol_error(frames: list[bytes]) -> None:
    with contextlib.suppress(ProtocolError):
        read(b"".join(frames), max_size_bytes=200)
