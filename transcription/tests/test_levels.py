"""How loud audio is, and the tables of G.711."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcription.audio.formats import AudioFormat, Encoding
from transcription.audio.levels import ALAW_SAMPLES, MULAW_SAMPLES, measure_level

# Code -> linear 16-bit value, as in the decoders of ITU-T G.191.
MULAW_VALUES = {
    0x00: -32124,
    0x01: -31100,
    0x0F: -16764,
    0x10: -15996,
    0x3F: -1980,
    0x70: -120,
    0x7E: -8,
    0x7F: 0,
    0x80: 32124,
    0x8F: 16764,
    0xF0: 120,
    0xFE: 8,
    0xFF: 0,
}
ALAW_VALUES = {
    0x00: -5504,
    0x2A: -32256,
    0x55: -8,
    0x54: -24,
    0x80: 5504,
    0xAA: 32256,
    0xD5: 8,
    0xD4: 24,
    0x5A: -248,
    0xDA: 248,
    0x45: -264,
}


@pytest.mark.parametrize(("code", "value"), MULAW_VALUES.items())
def test_mulaw_codes_have_their_values(code: int, value: int) -> None:
    assert MULAW_SAMPLES[code] == value


@pytest.mark.parametrize(("code", "value"), ALAW_VALUES.items())
def test_alaw_codes_have_their_values(code: int, value: int) -> None:
    assert ALAW_SAMPLES[code] == value


@pytest.mark.parametrize("table", [MULAW_SAMPLES, ALAW_SAMPLES], ids=["mulaw", "alaw"])
def test_the_upper_half_of_a_table_mirrors_the_lower(table: np.ndarray) -> None:
    assert (table[:128] == -table[128:]).all()
    assert len(np.unique(np.abs(table))) == 128


def test_silence_is_silent() -> None:
    level = measure_level(bytes(3200), AudioFormat())

    assert level is not None
    assert (level.rms, level.peak, level.clipped) == (0, 0, 0)
    assert level.is_silent
    assert not level.has_speech_energy


@pytest.mark.parametrize(
    ("encoding", "quiet"),
    [(Encoding.LINEAR_PCM, b"\0\0"), (Encoding.MULAW, b"\xff"), (Encoding.ALAW, b"\xd5")],
)
def test_quiet_is_silent_in_every_encoding(encoding: Encoding, quiet: bytes) -> None:
    level = measure_level(quiet * 800, AudioFormat(encoding, 8000))

    assert level is not None
    assert level.is_silent


def test_a_full_scale_square_wave_is_loud_and_clips() -> None:
    samples = np.tile(np.array([32767, -32768], dtype="<i2"), 400)
    level = measure_level(samples.tobytes(), AudioFormat())

    assert level is not None
    assert level.rms == pytest.approx(1.0, abs=0.001)
    assert level.peak == 1.0
    assert level.is_clipping
    assert level.has_speech_energy


def test_a_sine_has_the_rms_of_a_sine() -> None:
    samples = (16384 * np.sin(np.arange(16000) * 2 * np.pi * 440 / 16000)).astype("<i2")
    level = measure_level(samples.tobytes(), AudioFormat())

    assert level is not None
    assert level.rms == pytest.approx(0.5 / np.sqrt(2), abs=0.001)
    assert not level.is_clipping


def test_background_noise_has_no_speech_energy_but_is_no_muted_microphone() -> None:
    samples = np.tile(np.array([100, -100], dtype="<i2"), 400)
    level = measure_level(samples.tobytes(), AudioFormat())

    assert level is not None
    assert not level.has_speech_energy
    assert not level.is_silent


def test_nothing_and_containers_have_no_level() -> None:
    assert measure_level(b"", AudioFormat()) is None
    assert measure_level(b"fLaC" * 100, AudioFormat(Encoding.FLAC)) is None


@given(st.binary(min_size=2, max_size=400).filter(lambda data: len(data) % 2 == 0), st.sampled_from(list(Encoding)))
def test_every_level_is_a_share_of_full_scale(data: bytes, encoding: Encoding) -> None:
    level = measure_level(data, AudioFormat(encoding))

    if level is not None:
        assert 0 <= level.rms <= level.peak <= 1
        assert 0 <= level.clipped <= 1
