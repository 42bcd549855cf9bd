"""The recorded clips in `speech/` with what is said in them."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import av
import numpy as np
from av.audio.resampler import AudioResampler
from numpy.typing import NDArray

SPEECH_FOLDER = Path(__file__).parent / "speech"
SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Clip:
    """samples: int16, mono, 16 kHz. text: the reference transcript."""

    name: str
    samples: NDArray[np.int16]
    text: str

    @property
    def pcm(self) -> bytes:
        """The samples as LINEAR_PCM bytes."""
        return self.samples.astype("<i2").tobytes()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ

    @property
    def path(self) -> Path:
        return SPEECH_FOLDER / f"{self.name}.flac"


def load_samples(path: Path, rate_hz: int = SAMPLE_RATE_HZ) -> NDArray[np.int16]:
    """Decode an audio file to mono int16 at `rate_hz`."""
    resampler = AudioResampler(format="s16", layout="mono", rate=rate_hz)
    parts: list[NDArray[np.int16]] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            parts += [part.to_ndarray()[0] for part in resampler.resample(frame)]
    parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.concatenate(parts).astype(np.int16)


@cache
def load_clips() -> tuple[Clip, ...]:
    """All clips, in the order of `refs.tsv`. Their samples are shared: do not write to them."""
    with (SPEECH_FOLDER / "refs.tsv").open(encoding="utf-8", newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    return tuple(
        Clip(row["file"].removesuffix(".flac"), load_samples(SPEECH_FOLDER / row["file"]), row["text"]) for row in rows
    )


def load_clip(name: str) -> Clip:
    """The clip of this name; raises KeyError if there is none."""
    return {clip.name: clip for clip in load_clips()}[name]
