"""How often something came from somebody within a length of time. Pure."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

MAX_COUNTED = 10_000


class WindowCounts:
    """Counts by somebody, from their first until window_s later; the oldest are forgotten first. For any thread."""

    def __init__(
        self, window_s: float, *, clock: Callable[[], float] = time.monotonic, max_counted: int = MAX_COUNTED
    ) -> None:
        self._window_s = window_s
        self._clock = clock
        self._max_counted = max_counted
        self._lock = threading.Lock()
        self._counts: OrderedDict[Hashable, tuple[int, float]] = OrderedDict()

    def add(self, who: Hashable) -> None:
        with self._lock:
            now_s = self._clock()
            count, ends_s = self._counts.pop(who, (0, 0.0))
            self._counts[who] = (count + 1, ends_s) if now_s < ends_s else (1, now_s + self._window_s)
            while len(self._counts) > self._max_counted:
                self._counts.popitem(last=False)

    def wait_s(self, who: Hashable, most: int) -> float:
        """For how long `who` has to wait where most are allowed; 0.0 for not at all."""
        with self._lock:
            count, ends_s = self._counts.get(who, (0, 0.0))
            return max(0.0, ends_s - self._clock()) if count >= most else 0.0

    def __len__(self) -> int:
        return len(self._counts)
