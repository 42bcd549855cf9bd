"""How loud audio is. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transcription.audio import AudioFormat, Encoding

FULL_SCALE = 32768.0
# Quieter than this is no speech (-50 dBFS); room noise of a working microphone lies near it.
SPEECH_RMS = 0.003
# A muted microphone sends nothing above the last bits.
SILENCE_PEAK = 0.0005
CLIPPED_SHARE = 0.001
CLIPPED_SAMPLE = 32700


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
    """The level of LINEAR_PCM; None for other encodings and for no audio. audio: whole samples."""
    if audio_format.encoding is not Encoding.LINEAR_PCM or not audio:
        return None
    samples = np.frombuffer(audio, dtype="<i2").astype(np.float32)
    magnitudes = np.abs(samples)
    return Level(
        rms=float(np.sqrt(np.mean(samples * samples))) / FULL_SCALE,
        peak=float(magnitudes.max()) / FULL_SCALE,
        clipped=float(np.mean(magnitudes >= CLIPPED_SAMPLE)),
    )
