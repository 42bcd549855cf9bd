"""A session's audio as it comes in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding
from transcription.engine.intake import (
    CHUNK_MAX_BYTES,
    CONTAINER_RING_BYTES,
    CREDIT_S,
    RING_S,
    WARN_SILENCE_AFTER_S,
    Intake,
)
from transcription.errors import BadAudio, TooFast
from transcription.tests.recordings import wav

PCM = AudioFormat()
SECOND = PCM.bytes_per_second
LOUD = np.tile(np.array([8000, -8000], dtype="<i2"), SECOND // 4).tobytes()
QUIET = bytes(SECOND)


def take_all(intake: Intake) -> bytes:
    audio = b""
    while intake.has_unsent:
        audio += intake.take_chunk()
    return audio


def test_audio_goes_out_as_it_came_in() -> None:
    intake = Intake(PCM)

    assert intake.feed(LOUD, 0.0) == []

    assert take_all(intake) == LOUD
    assert intake.sent == intake.received == intake.received_on_wire == SECOND
    assert not intake.has_unsent
    assert intake.received_ms == 1000


@given(st.lists(st.binary(max_size=40), max_size=30), st.sampled_from([PCM, AudioFormat(channels=2)]))
def test_samples_are_never_cut_however_the_bytes_come(pieces: list[bytes], audio_format: AudioFormat) -> None:
    intake, sent = Intake(audio_format), b""
    audio = b"\x01\x02" + b"".join(pieces)
    intake.feed(b"\x01\x02", 0.0)
    for piece in pieces:
        intake.feed(piece, 0.0)
        while intake.has_unsent:
            chunk = intake.take_chunk()
            assert len(chunk) % audio_format.bytes_per_sample_set == 0
            sent += chunk
    warnings = intake.finish(0.0)
    sent += take_all(intake)

    assert sent == audio[: audio_format.align(len(audio))]
    assert ("odd_bytes" in warnings) is (len(sent) != len(audio))
    assert intake.received_on_wire == len(audio)


def test_a_long_wait_goes_out_in_bounded_chunks_of_whole_samples() -> None:
    intake = Intake(AudioFormat(channels=2))
    for _ in range(10):
        intake.feed(LOUD[: 3 * 10_000], 0.0)

    sizes = []
    while intake.has_unsent:
        sizes.append(len(intake.take_chunk()))

    assert sum(sizes) == 300_000
    assert max(sizes) <= CHUNK_MAX_BYTES
    assert len(sizes) == -(-300_000 // CHUNK_MAX_BYTES)


def test_a_wav_header_counts_for_the_client_and_not_for_the_audio() -> None:
    intake, recording = Intake(PCM), wav(LOUD)
    header = len(recording) - SECOND

    assert intake.feed(recording[:30], 0.0) == []
    assert (intake.received, intake.received_on_wire) == (0, 30)
    assert intake.feed(recording[30:], 0.0) == ["wav_header_skipped"]

    assert (intake.received, intake.received_on_wire) == (SECOND, len(recording))
    assert intake.on_wire(100) == 100 + header
    assert intake.limit_on_wire == CREDIT_S * SECOND + header
    assert take_all(intake) == LOUD


def test_nothing_settled_is_nothing_on_the_wire_either() -> None:
    """The header is not safe before any audio is: a new session would need it again."""
    intake = Intake(PCM)
    intake.feed(wav(LOUD), 0.0)

    assert intake.on_wire(0) == 0


def test_another_format_is_bad_audio() -> None:
    with pytest.raises(BadAudio):
        Intake(PCM).feed(wav(LOUD, rate_hz=8000), 0.0)


def test_a_recording_of_one_byte_is_an_odd_one() -> None:
    intake = Intake(PCM)
    intake.feed(b"\x01", 0.0)

    assert intake.finish(1.0) == ["odd_bytes"]
    assert not intake.has_unsent


# Credit


def test_credit_is_eighty_seconds_past_what_is_settled() -> None:
    intake = Intake(PCM)
    assert intake.limit == CREDIT_S * SECOND
    for _ in range(10):
        intake.feed(QUIET, 0.0)
    take_all(intake)

    intake.settle(4 * SECOND)

    assert intake.limit == (CREDIT_S + 4) * SECOND
    assert intake.limit_on_wire == intake.limit


def test_there_is_room_up_to_the_limit_and_not_a_byte_more() -> None:
    intake = Intake(PCM)
    intake.feed(QUIET, 0.0)

    assert intake.has_room_for((CREDIT_S - 1) * SECOND)
    assert not intake.has_room_for((CREDIT_S - 1) * SECOND + 1)


def test_past_what_can_be_held_audio_is_too_fast_and_nothing_of_it_is_kept() -> None:
    intake = Intake(PCM)
    for _ in range(RING_S):
        intake.feed(QUIET, 0.0)

    with pytest.raises(TooFast):
        intake.feed(b"\x00\x00", 0.0)
    assert intake.received == RING_S * SECOND


def test_audio_that_was_not_sent_is_never_let_go() -> None:
    intake = Intake(PCM)
    intake.feed(LOUD, 0.0)

    intake.settle(SECOND)

    assert intake.limit == CREDIT_S * SECOND
    assert take_all(intake) == LOUD


def test_the_settled_position_never_goes_back() -> None:
    intake = Intake(PCM)
    intake.feed(QUIET, 0.0)
    take_all(intake)
    intake.settle(SECOND)

    intake.settle(100)

    assert intake.limit == (CREDIT_S + 1) * SECOND


def test_audio_that_is_not_settled_is_held_however_long_it_was_sent() -> None:
    intake = Intake(PCM)
    for _ in range(60):
        intake.feed(QUIET, 0.0)
    take_all(intake)

    intake.settle(0)

    assert (intake.limit, intake.floor, intake.unsettled_s) == (CREDIT_S * SECOND, 0, 60.0)


def test_a_new_stream_hears_everything_that_is_not_settled_again() -> None:
    intake = Intake(PCM)
    intake.feed(LOUD + QUIET, 0.0)
    take_all(intake)
    intake.settle(SECOND // 2)

    intake.rewind()

    assert take_all(intake) == (LOUD + QUIET)[SECOND // 2 :]


def test_a_session_that_is_taken_up_again_goes_on_where_it_was_settled() -> None:
    intake = Intake(PCM, start=SECOND, header_bytes=44)
    assert (intake.received, intake.received_on_wire, intake.floor) == (SECOND, SECOND + 44, SECOND)

    intake.feed(LOUD, 0.0)

    assert take_all(intake) == LOUD
    assert (intake.received_on_wire, intake.limit_on_wire) == (2 * SECOND + 44, (1 + CREDIT_S) * SECOND + 44)


def test_a_session_that_begins_anew_hears_its_header_again() -> None:
    intake = Intake(PCM, start=0, header_bytes=44)

    assert intake.feed(wav(LOUD), 0.0) == ["wav_header_skipped"]
    assert intake.received == SECOND


def test_containers_have_no_announced_limit_but_a_bound() -> None:
    intake = Intake(AudioFormat(Encoding.FLAC))
    intake.feed(b"fLaC" + bytes(CONTAINER_RING_BYTES // 2), 0.0)

    assert intake.limit_on_wire is None
    assert not intake.has_room_for(1)
    intake.feed(bytes(CONTAINER_RING_BYTES // 2 - 4), 0.0)
    with pytest.raises(TooFast):
        intake.feed(b"x", 0.0)


def test_containers_get_room_by_sending() -> None:
    intake = Intake(AudioFormat(Encoding.OGGOPUS))
    intake.feed(b"OggS" + bytes(CONTAINER_RING_BYTES // 2), 0.0)
    take_all(intake)

    assert intake.has_room_for(CONTAINER_RING_BYTES // 2)
    assert intake.received_ms == 0


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("feed"), st.integers(0, 40_000)),
            st.tuples(st.just("send"), st.just(0)),
            st.tuples(st.just("settle"), st.integers(0, 400_000)),
        ),
        max_size=60,
    )
)
def test_what_is_held_is_bounded_and_never_sent_twice(steps: list[tuple[str, int]]) -> None:
    audio_format = AudioFormat(Encoding.MULAW, 8000)
    intake, sent, limit = Intake(audio_format), 0, intake_limit(audio_format)
    for name, value in steps:
        if name == "feed":
            try:
                intake.feed(b"\x7f" * value, 0.0)
            except TooFast:
                assert intake.received + value > limit - CREDIT_S * 8000
        elif name == "send" and intake.has_unsent:
            sent += len(intake.take_chunk())
        else:
            intake.settle(value)
        assert intake.sent == sent <= intake.received
        assert intake.limit >= limit
        limit = intake.limit
        assert intake.received - (limit - CREDIT_S * 8000) <= RING_S * 8000


def intake_limit(audio_format: AudioFormat) -> int:
    return Intake(audio_format).limit


# What can be said about it


def test_speech_is_noticed_up_to_where_it_is() -> None:
    intake = Intake(PCM)
    intake.feed(LOUD, 0.0)
    intake.measure(0.25)
    assert intake.level.has_speech_energy
    assert intake.speech_until == SECOND

    intake.feed(QUIET, 1.0)
    intake.measure(1.25)

    assert not intake.level.has_speech_energy
    assert intake.speech_until == SECOND


def test_without_new_audio_the_level_is_nothing() -> None:
    intake = Intake(PCM)
    intake.feed(LOUD, 0.0)
    intake.measure(0.25)

    intake.measure(0.5)

    assert intake.level.rms == 0


def seconds_of(intake: Intake, audio: bytes, seconds: int, *, first: int = 0) -> list[str]:
    """Feed audio each second; the warnings that come."""
    warnings: list[str] = []
    for second in range(first, first + seconds):
        warnings += intake.feed(audio, float(second))
        warnings += intake.measure(float(second))
    return warnings


def test_a_muted_microphone_is_told_once_after_ten_seconds() -> None:
    intake = Intake(PCM)

    assert seconds_of(intake, QUIET, int(WARN_SILENCE_AFTER_S)) == []
    assert seconds_of(intake, QUIET, 30, first=10) == ["silence"]


def test_a_microphone_that_is_muted_again_is_told_again() -> None:
    intake = Intake(PCM)
    assert seconds_of(intake, QUIET, 20) == ["silence"]
    assert seconds_of(intake, LOUD, 2, first=20) == []

    assert seconds_of(intake, QUIET, 20, first=22) == ["silence"]


def test_clipping_is_told_once() -> None:
    clipped = np.tile(np.array([32767, -32768], dtype="<i2"), SECOND // 4).tobytes()

    assert seconds_of(Intake(PCM), clipped, 5) == ["clipping"]


def test_a_wrong_sample_rate_is_told_once_within_seven_seconds() -> None:
    intake = Intake(PCM)

    assert seconds_of(intake, LOUD * 3, 7) == ["rate_mismatch"]
    take_all(intake)
    intake.settle(21 * SECOND)
    assert seconds_of(intake, LOUD * 3, 7, first=7) == []


def test_the_first_seconds_before_any_audio_are_no_wrong_rate() -> None:
    intake = Intake(PCM)
    assert [intake.measure(float(second)) for second in range(10)] == [[]] * 10

    assert seconds_of(intake, LOUD, 10, first=10) == []
