"""Where an utterance begins and ends, decided from speech probabilities alone.

Pure: one probability per frame of 32 ms goes in, a decision comes out now and then. An `Endpointer`
lives from one restart point to the next: after every decision the caller makes a new one and feeds
it the audio from `settled` on. That is what makes a replay from a settled position exact.
All positions are samples at 16 kHz counted from the restart point.
"""

from __future__ import annotations

from dataclasses import dataclass

FRAME_SAMPLES = 512
SAMPLES_PER_MS = 16
FRAME_MS = FRAME_SAMPLES // SAMPLES_PER_MS

SPEECH_PROBABILITY = 0.5
PRE_ROLL_MS = 300
# Measured over the clips at four offsets: 5.1 % word errors with 300 ms, 6.4 % with 200 ms.
TAIL_MS = 300
# Segments with less speech than this are clicks and breaths; the model invents words for them.
MIN_VOICED_MS = 100
# Beyond about 30 s in one piece the model's output falls apart.
MAX_SEGMENT_MS = 20_000
SILENCE_STEP_MS = 1_000
# Audio kept behind a settled piece of silence, beside `start_history_ms`: the pre-roll, and room for
# the detector to warm up.
SILENCE_KEPT_MS = 500
GRID_SAMPLES = 10 * SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class EndpointingOptions:
    """`EndpointingConfig` with the defaults filled in.

    start_threshold: part of the frames in `start_history_ms` that must be speech to open a segment.
    stop_threshold: part of the frames in `stop_history_ms` that must not be speech to close it.
    """

    start_history_ms: int = 32
    start_threshold: float = 0.5
    stop_history_ms: int = 600
    stop_threshold: float = 1.0


@dataclass(frozen=True, slots=True)
class SegmentEnded:
    """Samples [start, end) are to be decoded; everything before `settled` is done with.

    voiced: (begin, end) runs of speech inside the segment. At a forced cut `settled` equals `end`.
    """

    start: int
    end: int
    settled: int
    voiced: tuple[tuple[int, int], ...]

    @property
    def voiced_ms(self) -> int:
        return sum(end - begin for begin, end in self.voiced) // SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class SilenceSettled:
    """No segment is open and nothing before `settled` can become part of one."""

    settled: int


Decision = SegmentEnded | SilenceSettled


def _frames(duration_ms: int) -> int:
    """Frames that cover a duration, at least one."""
    return max(1, -(-duration_ms // FRAME_MS))


class Endpointer:
    """Feed `push` one probability per frame until it returns a decision; then begin a new one."""

    def __init__(self, options: EndpointingOptions, grid_samples: int = GRID_SAMPLES) -> None:
        self._options = options
        self._grid = grid_samples
        self._start_window = _frames(options.start_history_ms)
        self._stop_window = _frames(options.stop_history_ms)
        self._probabilities: list[float] = []
        self._first_voiced: int | None = None
        self._last_voiced = -1

    @property
    def is_open(self) -> bool:
        """True while a segment is open."""
        return self._first_voiced is not None

    @property
    def speech_start(self) -> int:
        """Sample at which the first speech of the open segment begins."""
        if self._first_voiced is None:
            raise ValueError("no segment is open")
        return self._first_voiced * FRAME_SAMPLES

    @property
    def start(self) -> int:
        """First sample of the open segment, pre-roll included."""
        return max(0, self.speech_start - PRE_ROLL_MS * SAMPLES_PER_MS)

    @property
    def position(self) -> int:
        """Samples judged so far."""
        return len(self._probabilities) * FRAME_SAMPLES

    @property
    def silence(self) -> int:
        """Samples since the last speech."""
        return self.position - self._speech_end

    @property
    def likely_end(self) -> int | None:
        """Where the open segment ends if nothing more is said; None while its end has not been heard.

        What is decoded includes only the beginning of the silence that ends a segment, so its last
        sample is known some time before its end is.
        """
        tail = min(TAIL_MS * SAMPLES_PER_MS, self._stop_window * FRAME_SAMPLES // 2)
        return self._speech_end + tail if self.is_open and self.silence >= tail else None

    def push(self, probability: float) -> Decision | None:
        """Judge one more frame. A returned decision is the last act of this endpointer."""
        if probability >= SPEECH_PROBABILITY:
            self._last_voiced = len(self._probabilities)
        self._probabilities.append(probability)
        if self._first_voiced is None:
            self._open_if_speech()
        if self._first_voiced is None:
            return self._settle_silence()
        if self._is_over():
            return self._close()
        if self.position - self.start >= MAX_SEGMENT_MS * SAMPLES_PER_MS:
            return self._cut()
        return None

    def finish(self, total: int) -> Decision:
        """End whatever is open at sample `total` (half-close or a forced end of utterance).

        total: samples of audio there are; the last frame judged may reach beyond it.
        """
        if self._first_voiced is None:
            window = self._probabilities[-self._start_window :]
            voiced = [i for i, p in enumerate(window) if p >= SPEECH_PROBABILITY]
            if not voiced:
                return SilenceSettled(total)
            self._first_voiced = len(self._probabilities) - len(window) + voiced[0]
        return SegmentEnded(self.start, total, total, self._voiced_runs(self.start, total))

    def voiced_runs(self, end: int) -> tuple[tuple[int, int], ...]:
        """Runs of speech in the open segment up to sample `end`."""
        return self._voiced_runs(self.start, end)

    @property
    def _speech_end(self) -> int:
        return (self._last_voiced + 1) * FRAME_SAMPLES

    def _open_if_speech(self) -> None:
        window = self._probabilities[-self._start_window :]
        voiced = [i for i, p in enumerate(window) if p >= SPEECH_PROBABILITY]
        if voiced and len(voiced) >= self._options.start_threshold * self._start_window:
            self._first_voiced = len(self._probabilities) - len(window) + voiced[0]

    def _settle_silence(self) -> SilenceSettled | None:
        # Frames of speech inside the start window may still open a segment: they and their pre-roll
        # stay on this side.
        kept = (SILENCE_KEPT_MS + self._options.start_history_ms) * SAMPLES_PER_MS
        if self.position < kept + SILENCE_STEP_MS * SAMPLES_PER_MS:
            return None
        settled = self.position - kept
        return SilenceSettled(settled - settled % self._grid)

    def _is_over(self) -> bool:
        window = self._probabilities[-self._stop_window :]
        if len(self._probabilities) - (self._first_voiced or 0) <= self._stop_window:
            return False
        unvoiced = sum(p < SPEECH_PROBABILITY for p in window)
        return window[-1] < SPEECH_PROBABILITY and unvoiced >= self._options.stop_threshold * len(window)

    def _close(self) -> SegmentEnded:
        speech_end, silence = self._speech_end, self.silence
        tail = min(TAIL_MS * SAMPLES_PER_MS, silence // 2)
        next_start = max(tail, silence - PRE_ROLL_MS * SAMPLES_PER_MS)
        middle = speech_end + (tail + next_start) // 2
        end = speech_end + tail
        settled = -(-middle // self._grid) * self._grid
        if settled > self.position:  # a very short `stop_history` leaves no point of the grid
            settled = end
        return SegmentEnded(self.start, end, settled, self._voiced_runs(self.start, end))

    def _cut(self) -> SegmentEnded:
        """Cut where speech is least likely, over three frames, in the second half of the segment."""
        first = self.start // FRAME_SAMPLES
        count = len(self._probabilities)
        candidates = range(first + (count - first) // 2, count - 1)
        best = min(candidates, key=lambda i: sum(self._probabilities[i - 1 : i + 2]))
        at = best * FRAME_SAMPLES + FRAME_SAMPLES // 2
        at -= at % self._grid
        return SegmentEnded(self.start, at, at, self._voiced_runs(self.start, at))

    def _voiced_runs(self, begin: int, end: int) -> tuple[tuple[int, int], ...]:
        runs: list[tuple[int, int]] = []
        for index, probability in enumerate(self._probabilities):
            if probability < SPEECH_PROBABILITY:
                continue
            left, right = max(begin, index * FRAME_SAMPLES), min(end, (index + 1) * FRAME_SAMPLES)
            if left >= right:
                continue
            if runs and runs[-1][1] == left:
                runs[-1] = (runs[-1][0], right)
            else:
                runs.append((left, right))
        return tuple(runs)
