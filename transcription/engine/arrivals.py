"""When which audio arrived, so that a result can be compared with the moment its audio was here. Pure."""

from __future__ import annotations

from bisect import bisect_left

MARK_EVERY_S = 0.05
MAX_MARKS = 4000


class Arrivals:
    """Marks of (position in bytes, moment in seconds), at most MAX_MARKS, oldest forgotten first."""

    __slots__ = ("_moments", "_positions")

    def __init__(self) -> None:
        self._positions: list[int] = []
        self._moments: list[float] = []

    def mark(self, position: int, now_s: float) -> None:
        """Audio up to position is here at now_s."""
        if self._moments and now_s - self._moments[-1] < MARK_EVERY_S:
            self._positions[-1] = position
            return
        self._positions.append(position)
        self._moments.append(now_s)
        if len(self._positions) > MAX_MARKS:
            del self._positions[: MAX_MARKS // 4]
            del self._moments[: MAX_MARKS // 4]

    def age_s(self, position: int, now_s: float) -> float | None:
        """How long ago the audio before position had all arrived; None if it has not or is forgotten."""
        index = bisect_left(self._positions, position)
        return None if index == len(self._positions) else max(0.0, now_s - self._moments[index])
