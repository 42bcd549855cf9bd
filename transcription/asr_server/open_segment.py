"""What one stream has decoded of a segment before its end is certain: interims, and the likely final."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from .decoding import decode_interim, decode_segment
from .endpointing import MIN_VOICED_MS
from .engine import Engine
from .errors import TooManyStreams
from .listening import HeardSegment, Listener, OpenSegment
from .scheduler import Scheduler, Urgency

# An interim decodes the whole open segment again: without the back-off the lag's 95th percentile
# reached 12 s.
MIN_INTERIM_STEP_S = 0.5
INTERIM_STEP_PART = 0.25
# After so much silence the likely final is about to come, with all the words there are.
NO_INTERIM_AFTER_SILENCE_MS = 64


class OpenSegmentDecoder:
    """Follows the segment being spoken. At most one interim is under way, and at most one likely final.

    Once the silence that a segment is decoded with has been heard, all its samples are known, though more
    of it must pass before the segment is over. It is decoded then, as its final: if nothing more is said the
    text is there when the end is, and otherwise it was an interim.

    tell: called with what an open segment says so far. interims: whether anybody wants to know it.
    """

    def __init__(
        self, scheduler: Scheduler, listener: Listener, tell: Callable[[HeardSegment, str], None], interims: bool
    ) -> None:
        self._scheduler = scheduler
        self._listener = listener
        self._tell = tell
        self._interims = interims
        self._interim: asyncio.Future[tuple[HeardSegment, str]] | None = None
        # What the waiting interim is to decode; replaced by newer while it waits.
        self._newest: HeardSegment | None = None
        self._number = -1
        self._decoded_length_s = 0.0
        self._likely: asyncio.Future[str] | None = None
        self._likely_key = (-1, -1)
        self._likely_samples = 0

    def follow(self, opened: OpenSegment | None, due: float) -> None:
        """More was heard. due: the moment at which its last sample was spoken."""
        if opened is None:
            return
        if opened.number != self._number:
            self._number, self._decoded_length_s = opened.number, 0.0
        if opened.likely_end is not None:
            self._expect_final(opened, opened.likely_end, due)
        elif self._interims:
            self._consider_interim(opened, due)

    def finish(self, segment: HeardSegment, deadline: float) -> asyncio.Future[str]:
        """The text of a segment that has ended: the likely final if that was it. Raises TooManyStreams."""
        likely, self._likely = self._likely, None
        self._drop_interim()
        if likely is not None and not likely.cancelled():
            if (self._likely_key[0], self._likely_samples) == (segment.number, len(segment.samples)):
                self._scheduler.promote(likely, deadline)
                return likely
            likely.cancel()
        work = partial(decode_segment, samples=segment.samples, voiced_ms=segment.speech_ms)
        return self._scheduler.submit(Urgency.FINAL, deadline, work)

    def drop(self) -> None:
        """Give up whatever is under way."""
        self._drop_interim()
        if self._likely is not None:
            self._likely.cancel()
            self._likely = None

    def _drop_interim(self) -> None:
        if self._interim is not None:
            self._interim.cancel()
        self._interim = self._newest = None

    def _expect_final(self, opened: OpenSegment, end: int, due: float) -> None:
        if self._likely_key == (opened.number, end):
            return
        segment = self._listener.snapshot(end)
        if segment.speech_ms < MIN_VOICED_MS:
            return
        self.drop()
        work = partial(decode_segment, samples=segment.samples, voiced_ms=segment.speech_ms)
        try:
            self._likely = self._scheduler.submit(Urgency.LIKELY_FINAL, due, work)
        except TooManyStreams:
            return  # it is decoded when it has ended
        self._likely_key, self._likely_samples = (opened.number, end), len(segment.samples)
        self._decoded_length_s = opened.speech_length_s
        self._likely.add_done_callback(partial(self._tell_likely, segment))

    def _consider_interim(self, opened: OpenSegment, due: float) -> None:
        """Ask for an interim if enough was said since the last one and none is under way."""
        if self._interim is not None and not self._interim.done():
            if self._newest is not None:
                self._newest = self._listener.snapshot()
            return
        step_s = max(MIN_INTERIM_STEP_S, INTERIM_STEP_PART * opened.speech_length_s)
        if opened.speech_length_s - self._decoded_length_s < step_s:
            return
        if opened.silence_ms >= NO_INTERIM_AFTER_SILENCE_MS:
            return
        segment = self._listener.snapshot()
        if segment.speech_ms < MIN_VOICED_MS:
            return
        self._newest = segment
        try:
            # Wanted before the next one: short segments, whose first words somebody waits for, go first.
            self._interim = self._scheduler.submit(Urgency.INTERIM, due + step_s, self._decode_newest)
        except TooManyStreams:
            return  # interims are what is left out when there is too much to do
        self._interim.add_done_callback(self._tell_interim)
        self._decoded_length_s = opened.speech_length_s

    def _decode_newest(self, engine: Engine) -> tuple[HeardSegment, str]:
        """Runs in a thread of the scheduler."""
        segment, self._newest = self._newest, None
        if segment is None:
            raise AssertionError("an interim waits with its segment")
        return segment, decode_interim(engine, segment.samples, segment.speech_ms)

    def _tell_interim(self, done: asyncio.Future[tuple[HeardSegment, str]]) -> None:
        if not done.cancelled() and done.exception() is None:
            segment, text = done.result()
            if text:
                self._tell(segment, text)

    def _tell_likely(self, segment: HeardSegment, done: asyncio.Future[str]) -> None:
        if done.cancelled() or done.exception() is not None or done is not self._likely:
            return
        if self._interims and done.result():
            self._tell(segment, done.result())
