"""Frames of HTTP/2, with plain values."""

from __future__ import annotations

import pytest

from transcription.riva.http2.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_HEAD,
    FRAME_HEAD_BYTES,
    HEADERS,
    MAX_FRAME_BYTES,
    PADDED,
    PING,
    SETTING_ENABLE_PUSH,
    SETTING_INITIAL_WINDOW_SIZE,
    ErrorCode,
    ProtocolError,
    build_frame,
    build_framed_message,
    build_goaway,
    build_headers,
    build_message,
    build_reset,
    build_settings,
    build_window_update,
    name_of,
    read_goaway,
    read_number,
    read_settings,
    without_padding,
)


def test_a_frame_has_its_length_kind_flags_and_stream_first() -> None:
    assert build_frame(DATA, END_STREAM, 5, b"abc") == bytes.fromhex("000003 00 01 00000005") + b"abc"
    assert build_frame(PING, ACK, 0, bytes(8)) == bytes.fromhex("000008 06 01 00000000") + bytes(8)


def test_a_frame_may_be_as_large_as_every_peer_takes() -> None:
    assert build_frame(DATA, 0, 1, bytes(MAX_FRAME_BYTES))[:3] == bytes.fromhex("004000")


@pytest.mark.parametrize("size", [0, 1, 255, 256, 3200, MAX_FRAME_BYTES - 5])
def test_a_message_in_a_frame_of_its_own_is_the_frame_of_the_message(size: int) -> None:
    message = bytes(number % 251 for number in range(size))
    assert build_framed_message(7, message) == build_frame(DATA, 0, 7, build_message(message))


def test_a_message_says_that_it_is_not_compressed_and_how_long_it_is() -> None:
    assert build_message(b"hello") == b"\0\0\0\0\x05hello"


def test_settings_are_pairs() -> None:
    frame = build_settings({SETTING_ENABLE_PUSH: 0, SETTING_INITIAL_WINDOW_SIZE: 1024})
    assert frame == bytes.fromhex("00000c 04 00 00000000 0002 00000000 0004 00000400")
    assert list(read_settings(frame[FRAME_HEAD_BYTES:])) == [(2, 0), (4, 1024)]


def test_settings_may_be_none() -> None:
    assert list(read_settings(build_settings({})[FRAME_HEAD_BYTES:])) == []


def test_settings_of_a_wrong_length_are_refused() -> None:
    with pytest.raises(ProtocolError) as raised:
        read_settings(bytes(7))
    assert raised.value.code is ErrorCode.FRAME_SIZE_ERROR


def test_headers_that_fit_are_one_frame() -> None:
    assert build_headers(3, b"block") == build_frame(HEADERS, END_HEADERS, 3, b"block")


def test_large_headers_are_continued() -> None:
    block = bytes(2 * MAX_FRAME_BYTES + 1)
    assert build_headers(3, block) == (
        build_frame(HEADERS, 0, 3, bytes(MAX_FRAME_BYTES))
        + build_frame(CONTINUATION, 0, 3, bytes(MAX_FRAME_BYTES))
        + build_frame(CONTINUATION, END_HEADERS, 3, b"\0")
    )


def test_resets_updates_and_goodbyes_carry_numbers() -> None:
    assert build_reset(9, ErrorCode.CANCEL)[FRAME_HEAD_BYTES:] == bytes.fromhex("00000008")
    assert build_window_update(0, 65_536)[FRAME_HEAD_BYTES:] == bytes.fromhex("00010000")
    assert read_goaway(build_goaway(ErrorCode.ENHANCE_YOUR_CALM)[FRAME_HEAD_BYTES:]) == (0, 11, "")


def test_a_goodbye_says_the_last_stream_and_why() -> None:
    payload = bytes.fromhex("80000005 0000000b") + b"too_many_pings\xff"
    assert read_goaway(payload) == (5, 11, "too_many_pings\N{REPLACEMENT CHARACTER}")


@pytest.mark.parametrize("payload", [b"", bytes(3), bytes(5)])
def test_a_number_of_a_wrong_length_is_refused(payload: bytes) -> None:
    with pytest.raises(ProtocolError):
        read_number(payload)


def test_a_goodbye_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(ProtocolError):
        read_goaway(bytes(7))


@pytest.mark.parametrize(
    ("flags", "payload", "skipped_bytes", "content"),
    [
        (0, b"content", 0, b"content"),
        (0, b"12345content", 5, b"content"),
        (PADDED, b"\x03content123", 0, b"content"),
        (PADDED, b"\x0312345content123", 5, b"content"),
        (PADDED, b"\x00content", 0, b"content"),
        (PADDED, b"\x03123", 0, b""),
    ],
)
def test_padding_is_taken_off(flags: int, payload: bytes, skipped_bytes: int, content: bytes) -> None:
    assert without_padding(flags, payload, skipped_bytes=skipped_bytes) == content


@pytest.mark.parametrize(
    ("flags", "payload", "skipped_bytes"),
    [(PADDED, b"", 0), (PADDED, b"\x04123", 0), (PADDED, b"\x0112345", 5), (0, b"1234", 5)],
)
def test_more_padding_than_there_is_frame_is_refused(flags: int, payload: bytes, skipped_bytes: int) -> None:
    with pytest.raises(ProtocolError):
        without_padding(flags, payload, skipped_bytes=skipped_bytes)


def test_a_head_is_read_as_it_is_built() -> None:
    high, low, kind, flags, stream_id = FRAME_HEAD.unpack(build_frame(DATA, 0, 3, bytes(300))[:FRAME_HEAD_BYTES])
    assert (high << 8 | low, kind, flags, stream_id) == (300, DATA, 0, 3)


def test_codes_have_names_and_unknown_ones_their_number() -> None:
    assert name_of(0xB) == "ENHANCE_YOUR_CALM"
    assert name_of(0xFF) == "0xff"
