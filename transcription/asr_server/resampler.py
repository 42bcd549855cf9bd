"""Streaming conversion of any input rate to the 16 kHz the models hear."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
from numpy.typing import NDArray

MODEL_RATE_HZ = 16_000
# Output is computed in blocks of this many samples counted from the start, so that the result is
# bit-identical however the input was cut into chunks. It is also one frame of the detector.
BLOCK_SAMPLES = 512
# Zero crossings of the windowed sinc on each side, at the lower of the two rates.
SINC_ZERO_CROSSINGS = 16
KAISER_BETA = 8.6  # about 85 dB of stop band
ROLL_OFF = 0.94  # of the lower Nyquist frequency
# Rates with a tiny common divisor with 16 000 would need a filter of 16 000 phases; the nearest of
# 1 024 is off by less than 1/2 048 of a sample.
MAX_PHASES = 1_024


@lru_cache(maxsize=16)
def _filter_bank(input_rate_hz: int) -> NDArray[np.float32]:
    """Windowed-sinc filters, shape (phases, taps); row p delays by p / phases input samples."""
    up = MODEL_RATE_HZ // gcd(MODEL_RATE_HZ, input_rate_hz)
    phases = min(up, MAX_PHASES)
    cutoff = ROLL_OFF * min(1.0, MODEL_RATE_HZ / input_rate_hz)
    half = int(np.ceil(SINC_ZERO_CROSSINGS / cutoff))
    offsets = np.arange(-half + 1, half + 1)[None, :] - (np.arange(phases) / phases)[:, None]
    window = np.i0(KAISER_BETA * np.sqrt(np.clip(1 - (offsets / half) ** 2, 0, 1))) / np.i0(KAISER_BETA)
    bank = cutoff * np.sinc(cutoff * offsets) * window
    bank /= bank.sum(axis=1, keepdims=True)
    return bank.astype(np.float32)


class Resampler:
    """Input samples in, blocks of 512 samples at 16 kHz out; sample n of the output is time n / 16 000.

    Nothing of the past survives in it, so a new Resampler fed from a later position gives what a
    first one would give there (`listening.py` begins anew at every settled position).
    """

    def __init__(self, input_rate_hz: int) -> None:
        divisor = gcd(MODEL_RATE_HZ, input_rate_hz)
        self._up = MODEL_RATE_HZ // divisor
        self._down = input_rate_hz // divisor
        self._identity = input_rate_hz == MODEL_RATE_HZ
        self._bank = np.ones((1, 1), np.float32) if self._identity else _filter_bank(input_rate_hz)
        self._half = 0 if self._identity else self._bank.shape[1] // 2
        # Silence before the first sample lets the first output stand at time 0.
        self._input = np.zeros(max(self._half - 1, 0), np.float32)
        self._input_start = -max(self._half - 1, 0)
        self._received = 0
        self._emitted = 0

    def push(self, samples: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Take mono float32 samples at the input rate; return whole blocks of 512 at 16 kHz."""
        self._received += len(samples)
        self._input = np.concatenate((self._input, samples))
        blocks = []
        while self._last_input_of(self._emitted + BLOCK_SAMPLES - 1) < self._received:
            blocks.append(self._block(BLOCK_SAMPLES))
        return blocks

    def finish(self) -> NDArray[np.float32]:
        """The rest of the output, fewer than 512 samples; the resampler takes no more input."""
        total = self._received * self._up // self._down
        rest = total - self._emitted
        self._input = np.concatenate((self._input, np.zeros(2 * self._half + 1, np.float32)))
        blocks = [self._block(min(BLOCK_SAMPLES, rest - at)) for at in range(0, rest, BLOCK_SAMPLES)]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.float32)

    def _last_input_of(self, output_index: int) -> int:
        return output_index * self._down // self._up + self._half

    def _block(self, count: int) -> NDArray[np.float32]:
        first = self._emitted
        self._emitted += count
        if self._identity:
            self._input_start += count
            unchanged, self._input = self._input[:count], self._input[count:]
            return unchanged
        ticks = np.arange(first, first + count, dtype=np.int64) * self._down
        taps = self._bank.shape[1]
        phase = (ticks % self._up) * self._bank.shape[0] // self._up
        begin = ticks // self._up - (self._half - 1) - self._input_start
        windows = np.lib.stride_tricks.sliding_window_view(self._input, taps)[begin]
        block: NDArray[np.float32] = np.einsum("ij,ij->i", windows, self._bank[phase])
        used = int((first + count) * self._down // self._up - (self._half - 1) - self._input_start)
        self._input = self._input[max(used, 0) :]
        self._input_start += max(used, 0)
        return block
