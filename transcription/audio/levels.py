"""How loud audio is. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from transcription.audio.formats import AudioFormat, Encoding

FULL_SCALE = 32768.0
# Quieter than this is taken for background noise (-40 dBFS).
SPEECH_RMS = 0.01
# A muted microphone sends nothing above the last bits.
SILENCE_PEAK = 0.0005
CLIPPED_SHARE = 0.001
CLIPPED_SAMPLE = 32700


def _mulaw_samples() -> np.ndarray:
    """The 16-bit value of each of the 256 codes. Source: ITU-T G.711, table 2a."""
    code = ~np.arange(256, dtype=np.uint8)
    magnitude = (((code & 0x0F).astype(np.int32) << 3) + 0x84 << (code >> 4 & 7).astype(np.int32)) - 0x84
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.float32)


def _alaw_samples() -> np.ndarray:
    """The 16-bit value of each of the 256 codes. Source: ITU-T G.711, table 1a."""
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = (code >> 4 & 7).astype(np.int32)
    mantissa = ((code & 0x0F).astype(np.int32) << 4) + 8
    magnitude = np.where(exponent == 0, mantissa, mantissa + 0x100 << np.maximum(exponent - 1, 0))
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.float32)


MULAW_SAMPLES = _mulaw_samples()
ALAW_SAMPLES = _alaw_samples()


@dataclass(frozen=True, slots=True)
class Level:
    """rms, peak: 0.0-1.0 of full scale. clipped: share of samples at full scale."""

    rms: float = 0.0
    peak: float = 0.0
    clipped: float = 0.0

    @property
    def has_speech_energy(self) -> bool:
        return self.rms >= SPEECH_RMS

    @property
    def is_silent(self) -> bool:
        return self.peak < SILENCE_PEAK

    @property
    def is_clipping(self) -> bool:
        return self.clipped >= CLIPPED_SHARE


def measure_level(audio: bytes, audio_format: AudioFormat) -> Level | None:
    """The level of raw samples; None for containers and for no audio. audio: whole samples."""
    if not audio_format.has_constant_rate or not audio:
        return None
    if audio_format.encoding is Encoding.LINEAR_PCM:
        samples = np.frombuffer(audio, dtype="<i2")
        # Of whole numbers, and past max() and min(), which is quicker; the least has no positive counterpart.
        peak = float(max(int(np.maximum.reduce(samples)), -int(np.minimum.reduce(samples))))
        samples = samples.astype(np.float32)
    else:
        table = MULAW_SAMPLES if audio_format.encoding is Encoding.MULAW else ALAW_SAMPLES
        samples = table[np.frombuffer(audio, dtype=np.uint8)]
        peak = float(np.abs(samples).max())
    clipped = float(np.mean(np.abs(samples) >= CLIPPED_SAMPLE)) if peak >= CLIPPED_SAMPLE else 0.0
    rms = math.sqrt(float(np.dot(samples, samples)) / len(samples))
    # Sums of 32-bit numbers are rounded.
    return Level(rms=min(rms, peak) / FULL_SCALE, peak=peak / FULL_SCALE, clipped=clipped)
