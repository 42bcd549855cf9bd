"""How often and how long a lost recogniser is tried again. Pure; moments are seconds of one clock."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from transcription.errors import AtCapacity, RecogniserFailed, RecogniserSilent, TranscriptionError

RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
# A recogniser that has no room is given time.
BUSY_DELAYS_S = (1.0, 2.0, 5.0, 10.0)
GIVE_UP_AFTER_S = 30.0
# A recogniser that opens streams and loses each of them before anything is settled, such as over audio it dies of.
MAX_STREAMS_LOST = 10
# Streams that answered nothing at all: the recogniser does not work, whatever it says when it is opened.
MAX_SILENT_STREAMS = 3
# A stream that lasted this long was no part of the outage before it.
STABLE_S = 60.0
RECOVERABLE = (RecogniserFailed, RecogniserSilent, AtCapacity)
# A server that says goodbye before it goes: another connection is there at once, and nobody needs to know.
QUIET_REASONS = ("recogniser_goaway",)
BUSY_REASON = "recogniser_busy"
# It answers, but too slowly: to hear the same again would make it slower.
SLOW_REASON = "recogniser_slow"


class Outage:
    """Counts the failures of one session's recogniser until its audio moves on again.

    jitter: 0.0-1.0, spreads the waits by half up and down, so that many sessions do not come back at once.
    """

    __slots__ = (
        "_busy_delays",
        "_delays",
        "_failed_at_s",
        "_has_begun",
        "_next_s",
        "_settled",
        "_silent_streams",
        "_since_s",
        "_streams_lost",
        "is_quiet",
        "jitter",
        "was_refused",
        "was_told",
    )

    def __init__(self, *, jitter: Callable[[], float]) -> None:
        self.jitter = jitter
        # The recogniser refused for want of room at some time in this session: replays go slower.
        self.was_refused = False
        self.was_told = False
        self.is_quiet = False
        self._has_begun = False
        self._since_s = 0.0
        self._streams_lost = 0
        self._silent_streams = 0
        self._failed_at_s = 0.0
        self._settled = 0
        self._delays: Iterator[float] = iter(())
        self._busy_delays: Iterator[float] = iter(())
        self._next_s: float | None = None

    def stream_lost(self, error: TranscriptionError, now_s: float, *, settled: int) -> None:
        """An open stream broke.

        settled: the position from which the next one goes on; if it has moved, this is an outage of its own.
        Raises the error where trying again cannot help, or was tried for too long.
        """
        is_new = self._note(error, now_s, settled)
        # Until now it could be reached.
        self._since_s = now_s
        if is_new:
            self._streams_lost = self._silent_streams = 0
        self._streams_lost += 1
        self._silent_streams += isinstance(error, RecogniserSilent)
        if self._streams_lost > MAX_STREAMS_LOST or self._silent_streams >= MAX_SILENT_STREAMS:
            raise error
        self.is_quiet = is_new and error.reason in QUIET_REASONS
        self.was_told = self.was_told or not self.is_quiet
        self._next_s = 0.0 if self.is_quiet else self._delay_after(error)

    def open_failed(self, error: TranscriptionError, now_s: float, *, settled: int) -> None:
        """No stream could be opened. Raises as stream_lost."""
        self._note(error, now_s, settled)
        self.is_quiet, self.was_told = False, True
        self._next_s = self._delay_after(error)
        if error.reason != BUSY_REASON and now_s - self._since_s + self._next_s > GIVE_UP_AFTER_S:
            raise error

    def _note(self, error: TranscriptionError, now_s: float, settled: int) -> bool:
        if not isinstance(error, RECOVERABLE) or not error.retryable or error.reason == SLOW_REASON:
            raise error
        is_new = not self._has_begun or settled > self._settled or now_s - self._failed_at_s > STABLE_S
        if is_new:
            self._has_begun, self._since_s, self._settled = True, now_s, settled
            self._delays, self._busy_delays = iter(RETRY_DELAYS_S), iter(BUSY_DELAYS_S)
        self._failed_at_s = now_s
        return is_new

    def next_delay_s(self, now_s: float) -> float:
        """How long to wait before the next stream is opened; 0.0 where none was lost."""
        delay_s, self._next_s = self._next_s or 0.0, None
        return max(0.0, self._failed_at_s + delay_s - now_s)

    def _delay_after(self, error: TranscriptionError) -> float:
        if error.reason != BUSY_REASON:
            return next(self._delays, RETRY_DELAYS_S[-1]) * (0.5 + self.jitter())
        self.was_refused = True
        delay_s = next(self._busy_delays, None)
        if delay_s is None:
            raise RecogniserFailed("The recogniser has no room.", reason=BUSY_REASON) from None
        return delay_s
