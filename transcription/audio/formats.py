"""Audio as bytes: formats, positions and what the first bytes say. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

MS_PER_SECOND = 1000


class Encoding(StrEnum):
    """Names as in Riva's AudioEncoding."""

    LINEAR_PCM = "LINEAR_PCM"
    MULAW = "MULAW"
    ALAW = "ALAW"
    FLAC = "FLAC"
    OGGOPUS = "OGGOPUS"


BYTES_PER_SAMPLE = {Encoding.LINEAR_PCM: 2, Encoding.MULAW: 1, Encoding.ALAW: 1}


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How a client's bytes become sound.

    sample_rate_hz: 8000-48000. channels: 1-2, interleaved. LINEAR_PCM is signed 16-bit little-endian.
    has_constant_rate: whether a byte position is a time, so that audio can be cut and sent again from a byte.
    bytes_per_sample_set: bytes of one sample of every channel; 1 where bytes say nothing about time, and
    bytes_per_second is 0 then.
    """

    encoding: Encoding = Encoding.LINEAR_PCM
    sample_rate_hz: int = 16000
    channels: int = 1
    # Worked out once: they are asked for several times for each message of audio.
    has_constant_rate: bool = field(init=False, repr=False, compare=False)
    bytes_per_sample_set: int = field(init=False, repr=False, compare=False)
    bytes_per_second: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        bytes_per_sample = BYTES_PER_SAMPLE.get(self.encoding, 0)
        bytes_per_sample_set = bytes_per_sample * self.channels
        object.__setattr__(self, "has_constant_rate", bytes_per_sample > 0)
        object.__setattr__(self, "bytes_per_sample_set", bytes_per_sample_set or 1)
        object.__setattr__(self, "bytes_per_second", bytes_per_sample_set * self.sample_rate_hz)

    def bytes_to_ms(self, position_bytes: int) -> int:
        """Time of a byte position, rounded down; 0 for encodings without a constant rate."""
        return position_bytes * MS_PER_SECOND // self.bytes_per_second if self.has_constant_rate else 0

    def ms_to_bytes(self, position_ms: int) -> int:
        """Byte position of a time, rounded down to a whole sample of every channel."""
        if not self.has_constant_rate:
            return 0
        return position_ms * self.sample_rate_hz // MS_PER_SECOND * self.bytes_per_sample_set

    def align(self, position_bytes: int) -> int:
        """The last whole sample boundary at or before a position."""
        return position_bytes - position_bytes % self.bytes_per_sample_set
