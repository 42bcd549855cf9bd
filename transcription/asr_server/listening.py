"""One stream's ears: the client's bytes in, finished segments and settled silence out.

Every settled position is a restart point: resampler, detector, frame grid and buffers begin anew
there, so a stream that is opened again with the audio from a settled position hears exactly what
this one goes on to hear. Bit for bit where a multiple of 10 ms (up to 40 ms) is a whole number of
the client's samples, which holds for every usual rate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .audio_input import AudioInput
from .detector import SpeechDetector
from .endpointing import (
    FRAME_SAMPLES,
    GRID_SAMPLES,
    MIN_VOICED_MS,
    SAMPLES_PER_MS,
    Decision,
    Endpointer,
    EndpointingOptions,
    SegmentEnded,
    SilenceSettled,
)
from .growing_audio import GrowingAudio
from .resampler import MODEL_RATE_HZ, Resampler

MAX_GRID_STEPS = 4


@dataclass(frozen=True, slots=True)
class HeardSegment:
    """Speech to be decoded: samples at 16 kHz, and where it lies in the stream.

    settled_s is the position this segment's final settles; voiced_ms its runs of speech.
    """

    number: int
    samples: NDArray[np.float32]
    settled_s: float
    voiced_ms: tuple[tuple[float, float], ...]

    @property
    def speech_ms(self) -> float:
        return sum(end - begin for begin, end in self.voiced_ms)


@dataclass(frozen=True, slots=True)
class HeardSilence:
    """Nothing before settled_s is left to be said."""

    settled_s: float


@dataclass(frozen=True, slots=True)
class OpenSegment:
    """The segment being spoken.

    speech_length_s counts from its first speech, without pre-roll; silence_ms since its last.
    likely_end: the sample at which it ends if nothing more is said, None while that is open.
    """

    number: int
    speech_length_s: float
    silence_ms: int
    likely_end: int | None


Heard = HeardSegment | HeardSilence


class Listener:
    """Not thread-safe: one call at a time. Bounded: it holds at most one segment and its margins."""

    def __init__(self, audio: AudioInput, detector: SpeechDetector, options: EndpointingOptions) -> None:
        self._audio = audio
        self._detector = detector
        self._options = options
        self._segment_number = 0
        self._base = 0  # the restart point, in samples at the client's rate
        self._rate_hz = 0
        self._grid = GRID_SAMPLES
        self._kept: list[NDArray[np.float32]] = []  # the client's samples from the restart point on
        self._heard = GrowingAudio()  # the same at 16 kHz
        self._resampler = Resampler(MODEL_RATE_HZ)
        self._endpointer = Endpointer(options)

    @property
    def position_s(self) -> float:
        """Audio judged so far."""
        return self._seconds(self._endpointer.position) if self._rate_hz else 0.0

    @property
    def is_compressed(self) -> bool:
        """True where a few bytes may become many samples."""
        return self._audio.is_compressed

    @property
    def open_segment(self) -> OpenSegment | None:
        """The segment being spoken, if there is one."""
        if not self._endpointer.is_open:
            return None
        endpointer = self._endpointer
        return OpenSegment(
            self._segment_number,
            (endpointer.position - endpointer.speech_start) / MODEL_RATE_HZ,
            endpointer.silence // SAMPLES_PER_MS,
            endpointer.likely_end,
        )

    def feed(self, data: bytes) -> list[Heard]:
        """Hear more of the client's bytes. Raises RequestError if they are not audio as promised."""
        return [heard for samples in self._audio.push(data) for heard in self._hear(samples)]

    def end_utterance(self) -> list[Heard]:
        """End the open segment at the last 10 ms heard; listening goes on from there."""
        if not self._rate_hz:
            return []
        step = self._grid * self._rate_hz // MODEL_RATE_HZ
        kept = sum(map(len, self._kept))
        return self._finish_at(self._base + kept - kept % step)

    def finish(self) -> list[Heard]:
        """Hear the rest and end the open segment at the end of the audio; nothing may follow."""
        heard = [heard for samples in self._audio.finish() for heard in self._hear(samples)]
        if not self._rate_hz:
            return heard
        return heard + self._finish_at(self._base + sum(map(len, self._kept)))

    def snapshot(self, end: int | None = None) -> HeardSegment:
        """The open segment as far as it has been spoken, or up to sample `end`, for an interim result."""
        endpointer = self._endpointer
        end = endpointer.position if end is None else end
        return self._segment(SegmentEnded(endpointer.start, end, endpointer.position, endpointer.voiced_runs(end)))

    def _hear(self, samples: NDArray[np.float32]) -> Iterator[Heard]:
        if not self._rate_hz:
            self._begin_with_rate(self._audio.sample_rate_hz)
        self._kept.append(samples)
        yield from self._judge_all(samples)

    def _judge_all(self, samples: NDArray[np.float32]) -> Iterator[Heard]:
        """Judge samples that are kept already; after each decision again from where it settled."""
        while (decision := self._judge(self._resampler.push(samples))) is not None:
            yield self._heard_as(decision)
            samples = self._restart_at(decision.settled)

    def _finish_at(self, end: int) -> list[Heard]:
        """End everything at the client's sample `end`, which ends up as the restart point."""
        heard: list[Heard] = []
        while True:
            total = (end - self._base) * MODEL_RATE_HZ // self._rate_hz
            decision = self._judge(self._rest_in_frames(total))
            if decision is None or decision.settled >= total:
                # Decided in the silence that fills the last frame, or not at all.
                decision = self._endpointer.finish(total)
                heard.append(replace(self._heard_as(decision), settled_s=end / self._rate_hz))
                heard += self._judge_all(self._restart_at(total))
                return heard
            heard.append(self._heard_as(decision))
            heard += self._judge_all(self._restart_at(decision.settled))

    def _rest_in_frames(self, total: int) -> list[NDArray[np.float32]]:
        """What no whole frame was made of yet, up to sample `total`, with silence to fill a frame."""
        rest = self._resampler.finish()[: max(0, total - self._endpointer.position)]
        padded = np.zeros(-(-len(rest) // FRAME_SAMPLES) * FRAME_SAMPLES, np.float32)
        padded[: len(rest)] = rest
        return list(padded.reshape(-1, FRAME_SAMPLES))

    def _judge(self, blocks: list[NDArray[np.float32]]) -> Decision | None:
        for block in blocks:
            self._heard.append(block)
            decision = self._endpointer.push(self._detector.probability(block))
            if decision is not None:
                return decision
        return None

    def _heard_as(self, decision: Decision) -> Heard:
        if isinstance(decision, SilenceSettled) or decision.voiced_ms < MIN_VOICED_MS:
            heard: Heard = HeardSilence(self._seconds(decision.settled))
        else:
            heard = self._segment(decision)
        if isinstance(decision, SegmentEnded):
            self._segment_number += 1
        return heard

    def _segment(self, decision: SegmentEnded) -> HeardSegment:
        samples = self._heard.view(decision.start, decision.end)
        base_ms = self._base * 1000 / self._rate_hz
        voiced = tuple(
            (base_ms + begin / SAMPLES_PER_MS, base_ms + end / SAMPLES_PER_MS) for begin, end in decision.voiced
        )
        return HeardSegment(self._segment_number, samples, self._seconds(decision.settled), voiced)

    def _restart_at(self, settled: int) -> NDArray[np.float32]:
        """Begin anew at `settled`; returns the client's samples from there on, to be heard again."""
        kept = np.concatenate(self._kept) if self._kept else np.zeros(0, np.float32)
        offset = min(round(settled * self._rate_hz / MODEL_RATE_HZ), len(kept))
        self._base += offset
        # Copied, so that the part before it can be freed.
        left = kept[offset:].copy()
        # A new one: views on the old one may be waiting to be decoded.
        self._kept, self._heard = [left], GrowingAudio()
        self._detector.reset()
        self._resampler = Resampler(self._rate_hz)
        self._endpointer = Endpointer(self._options, self._grid)
        return left

    def _begin_with_rate(self, rate_hz: int) -> None:
        self._rate_hz = rate_hz
        steps = (n for n in range(1, MAX_GRID_STEPS + 1) if n * rate_hz % 100 == 0)
        self._grid = GRID_SAMPLES * next(steps, 1)
        self._resampler = Resampler(rate_hz)
        self._endpointer = Endpointer(self._options, self._grid)

    def _seconds(self, samples: int) -> float:
        return self._base / self._rate_hz + samples / MODEL_RATE_HZ
