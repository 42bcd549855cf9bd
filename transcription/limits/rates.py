"""How fast a client sends: a token bucket, and a watch for audio whose real rate is not the declared one. Pure."""

from __future__ import annotations

from collections import deque

WATCH_WINDOWS = 5
WINDOW_S = 1.0
STEADY_SPREAD = 0.1
MISMATCH = 0.2


class RateLimit:
    """At most per_second events a second on average, and burst at once."""

    def __init__(self, per_second: float, burst: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._tokens = burst
        self._updated_s: float | None = None

    def allows(self, now_s: float) -> bool:
        """Count one event; False if it is one too many."""
        if self._updated_s is not None:
            self._tokens = min(self._burst, self._tokens + (now_s - self._updated_s) * self._per_second)
        self._updated_s = now_s
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class AudioRateWatch:
    """Compares the bytes of each second with what the declared format would bring.

    A live source sends steadily; a file runs ahead in bursts. So only a steady rate that differs by more
    than MISMATCH for WATCH_WINDOWS seconds in a row counts as a wrong declaration.
    """

    def __init__(self, bytes_per_second: int) -> None:
        self._expected = bytes_per_second * WINDOW_S
        self._ratios: deque[float] = deque(maxlen=WATCH_WINDOWS)
        self._window_started_s: float | None = None
        self._window_start = 0

    def measure(self, received: int, now_s: float) -> float | None:
        """received: bytes so far. Returns real rate / declared rate once when a mismatch is sure, else None."""
        if self._window_started_s is None:
            self._window_started_s, self._window_start = now_s, received
            return None
        elapsed_s = now_s - self._window_started_s
        if elapsed_s < WINDOW_S or not self._expected:
            return None
        self._ratios.append((received - self._window_start) / (self._expected * elapsed_s / WINDOW_S))
        self._window_started_s, self._window_start = now_s, received
        if len(self._ratios) < WATCH_WINDOWS:
            return None
        mean = sum(self._ratios) / WATCH_WINDOWS
        steady = mean > 0 and (max(self._ratios) - min(self._ratios)) / mean <= STEADY_SPREAD
        if not steady or abs(mean - 1) <= MISMATCH:
            return None
        self._ratios.clear()
        return mean
