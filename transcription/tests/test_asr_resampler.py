"""Conversion to 16 kHz: frequencies stay, aliases go, chunks do not show."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from transcription.asr_server.resampler import BLOCK_SAMPLES, MODEL_RATE_HZ, Resampler

RATES_HZ = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 47_999]


def tone(frequency_hz: float, rate_hz: int, duration_s: float = 1.0) -> NDArray[np.float32]:
    times = np.arange(int(rate_hz * duration_s)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * frequency_hz * times)).astype(np.float32)


def resample(samples: NDArray[np.float32], rate_hz: int, chunk: int = 10**9) -> NDArray[np.float32]:
    resampler = Resampler(rate_hz)
    blocks = [b for at in range(0, len(samples), chunk) for b in resampler.push(samples[at : at + chunk])]
    return np.concatenate([*blocks, resampler.finish()])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_a_tone_keeps_its_frequency_level_and_time(rate_hz: int) -> None:
    output = resample(tone(1000, rate_hz), rate_hz)
    expected = tone(1000, MODEL_RATE_HZ)
    assert len(output) == pytest.approx(MODEL_RATE_HZ, abs=1)
    middle = slice(400, 15_600)
    assert np.abs(output[middle] - expected[middle]).max() < 2e-3


@pytest.mark.parametrize("rate_hz", [32_000, 44_100, 48_000])
def test_what_16_khz_cannot_hold_is_removed(rate_hz: int) -> None:
    output = resample(tone(11_000, rate_hz), rate_hz)
    assert np.abs(output[400:15_600]).max() < 1e-3


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("chunk", [1, 37, 160, 4_801])
def test_chunks_of_any_size_give_the_same_bits(rate_hz: int, chunk: int) -> None:
    noise = np.random.default_rng(5).uniform(-1, 1, rate_hz // 4).astype(np.float32)
    assert np.array_equal(resample(noise, rate_hz, chunk), resample(noise, rate_hz))


def test_blocks_are_whole_frames_of_the_detector() -> None:
    blocks = Resampler(44_100).push(tone(500, 44_100))
    assert {len(block) for block in blocks} == {BLOCK_SAMPLES}


def test_the_wanted_rate_passes_untouched() -> None:
    noise = np.random.default_rng(1).uniform(-1, 1, 5_000).astype(np.float32)
    assert np.array_equal(resample(noise, MODEL_RATE_HZ), noise)


def test_an_empty_stream_gives_nothing() -> None:
    assert len(Resampler(48_000).finish()) == 0
