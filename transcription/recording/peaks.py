"""How loud a recording is over its length, for a waveform. Pure."""

from __future__ import annotations

import numpy as np

from transcription.audio.levels import FULL_SCALE

PEAKS_PER_SECOND = 20
# Ten minutes at that; of longer recordings each peak stands for more.
MAX_PEAKS = 12_000
FULL = 255


class PeakMeter:
    """Takes samples in order; `peaks` is a byte for each step of step_ms, 255 for full scale.

    rate_hz: samples a second, of all channels together. duration_ms: how much will come, about.
    """

    def __init__(self, rate_hz: int, duration_ms: int) -> None:
        least_ms = 1000 // PEAKS_PER_SECOND
        self.step_ms = max(least_ms, -(-duration_ms // MAX_PEAKS))
        self._step = max(1, rate_hz * self.step_ms // 1000)
        self._peaks = bytearray()
        self._rest = np.empty(0, dtype=np.float32)

    def feed(self, samples: np.ndarray) -> None:
        """samples: int16 or as levels.MULAW_SAMPLES has them, shape (n,)."""
        samples = np.concatenate([self._rest, np.abs(samples.astype(np.float32))])
        whole = len(samples) // self._step * self._step
        self._add(samples[:whole].reshape(-1, self._step).max(axis=1) if whole else samples[:0])
        self._rest = samples[whole:]

    def finish(self) -> bytes:
        """The peaks of everything."""
        if len(self._rest):
            self._add(self._rest.max(keepdims=True))
            self._rest = self._rest[:0]
        return bytes(self._peaks[: MAX_PEAKS + 1])

    def _add(self, peaks: np.ndarray) -> None:
        self._peaks += np.minimum(np.ceil(peaks / FULL_SCALE * FULL), FULL).astype(np.uint8).tobytes()
