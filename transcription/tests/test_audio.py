"""Positions of audio: bytes and milliseconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding

RAW = (Encoding.LINEAR_PCM, Encoding.MULAW, Encoding.ALAW)
raw_formats = st.builds(
    AudioFormat,
    encoding=st.sampled_from(RAW),
    sample_rate_hz=st.integers(8000, 48000),
    channels=st.integers(1, 2),
)


@pytest.mark.parametrize(
    ("audio_format", "bytes_per_second"),
    [
        (AudioFormat(), 32000),
        (AudioFormat(channels=2), 64000),
        (AudioFormat(Encoding.MULAW, 8000), 8000),
        (AudioFormat(Encoding.ALAW, 8000, 2), 16000),
        (AudioFormat(Encoding.FLAC), 0),
        (AudioFormat(Encoding.OGGOPUS, 48000, 2), 0),
    ],
)
def test_it_knows_how_many_bytes_a_second_has(audio_format: AudioFormat, bytes_per_second: int) -> None:
    assert audio_format.bytes_per_second == bytes_per_second
    assert audio_format.has_constant_rate is (bytes_per_second > 0)


@pytest.mark.parametrize(("position_bytes", "ms"), [(0, 0), (31, 0), (32, 1), (33, 1), (63, 1), (64, 2), (32000, 1000)])
def test_a_byte_position_is_a_time_rounded_down(position_bytes: int, ms: int) -> None:
    assert AudioFormat().bytes_to_ms(position_bytes) == ms


def test_a_time_between_two_samples_is_the_earlier_sample() -> None:
    """At 22050 Hz a millisecond has 22.05 samples."""
    audio_format = AudioFormat(sample_rate_hz=22050, channels=2)

    assert audio_format.ms_to_bytes(1) == 22 * 4
    assert audio_format.ms_to_bytes(20) == 441 * 4


@given(raw_formats, st.integers(0, 24 * 3600 * 1000))
def test_a_time_is_a_whole_sample_of_every_channel_and_comes_back(audio_format: AudioFormat, ms: int) -> None:
    position = audio_format.ms_to_bytes(ms)

    assert audio_format.align(position) == position
    assert ms - 1 <= audio_format.bytes_to_ms(position) <= ms


@given(raw_formats, st.integers(0, 10**10))
def test_aligning_moves_back_by_less_than_a_sample_set(audio_format: AudioFormat, position: int) -> None:
    aligned = audio_format.align(position)

    assert aligned % audio_format.bytes_per_sample_set == 0
    assert 0 <= position - aligned < audio_format.bytes_per_sample_set


@pytest.mark.parametrize("encoding", [Encoding.FLAC, Encoding.OGGOPUS])
def test_containers_have_no_times_and_are_never_cut(encoding: Encoding) -> None:
    audio_format = AudioFormat(encoding)

    assert audio_format.bytes_to_ms(123_456) == 0
    assert audio_format.ms_to_bytes(123_456) == 0
    assert audio_format.align(123_457) == 123_457
