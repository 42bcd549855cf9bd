"""How fast audio may be sent again. Pure; moments are seconds of one clock."""

from __future__ import annotations

# Services answer a replay at full speed with RESOURCE_EXHAUSTED; this much faster than speech catches up soon enough.
REPLAY_SPEED = 4
REPLAY_SPEED_AFTER_REFUSAL = 2
# Sent at once, so that a short replay is not felt.
BURST_S = 1.0
# A piece at a time, so that waiting for its turn holds up nothing else for long.
PIECE_S = 0.25


class ReplayPace:
    """One replay: from the position where it starts to `until`, both in bytes."""

    def __init__(self, *, start: int, until: int, bytes_per_second: int, speed: float, now_s: float) -> None:
        self._start = start
        self._until = until
        self._rate = bytes_per_second * speed
        self._piece = max(1, round(bytes_per_second * PIECE_S))
        self._burst = round(bytes_per_second * BURST_S)
        self._started_s = now_s

    def piece_bytes(self, position: int) -> int | None:
        """How much may go in one message from this position; None where the replay is over."""
        return min(self._piece, self._until - position) if position < self._until else None

    def delay_s(self, position: int, now_s: float) -> float:
        """How long to wait before the audio from this position on is sent again."""
        if position >= self._until or not self._rate:
            return 0.0
        return max(0.0, self._started_s + (position - self._start - self._burst) / self._rate - now_s)
