"""When which audio arrived, so that a result can be compared with the moment its audio was here. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left

MARK_EVERY_S = 0.05
MAX_MARKS = 4000
# How many of settled audio stay: somebody may look later how late its last interim was.
KEPT_MARKS = 100


class Arrivals:
    """Marks of (position in bytes, moment in seconds), at most MAX_MARKS, oldest forgotten first."""

    __slots__ = ("_forgotten", "_moments", "_positions")

    def __init__(self) -> None:
        # Arrays and not lists: a mark takes 16 bytes instead of 72, all in one place.
        self._positions = array("q")
        self._moments = array("d")
        # The newest position whose mark is gone.
        self._forgotten = -1

    def mark(self, position: int, now_s: float) -> None:
        """Audio up to position is here at now_s."""
        if self._moments and now_s - self._moments[-1] < MARK_EVERY_S:
            self._positions[-1] = position
            return
        self._positions.append(position)
        self._moments.append(now_s)
        if len(self._positions) > MAX_MARKS:
            self._drop(MAX_MARKS // 4)

    def settle(self, position: int) -> None:
        """Audio before position is settled: its marks are forgotten but for KEPT_MARKS."""
        self._drop(bisect_left(self._positions, position) - KEPT_MARKS)

    def age_s(self, position: int, now_s: float) -> float | None:
        """How long ago the audio before position had all arrived; None if it has not or is forgotten."""
        if position <= self._forgotten:
            return None
        index = bisect_left(self._positions, position)
        return None if index == len(self._positions) else max(0.0, now_s - self._moments[index])

    def _drop(self, marks: int) -> None:
        if marks > 0:
            self._forgotten = self._positions[marks - 1]
            del self._positions[:marks]
            del self._moments[:marks]
