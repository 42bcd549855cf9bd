"""Samples that only grow, with views on any part of them instead of copies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FIRST_CAPACITY = 32_000


class GrowingAudio:
    """float32 samples, appended to at the end. What was appended is never written again, so a view
    stays as it is whatever comes later, and may be read in another thread."""

    def __init__(self) -> None:
        self._samples = np.empty(FIRST_CAPACITY, np.float32)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, block: NDArray[np.float32]) -> None:
        """Add samples; the room doubles where it is needed, so each is copied twice at most on average."""
        length = self._length + len(block)
        if length > len(self._samples):
            larger = np.empty(max(length, 2 * len(self._samples)), np.float32)
            larger[: self._length] = self._samples[: self._length]
            self._samples = larger
        self._samples[self._length : length] = block
        self._length = length

    def view(self, begin: int, end: int) -> NDArray[np.float32]:
        """Samples [begin, end), at most those there are."""
        part = self._samples[begin : min(end, self._length)]
        part.flags.writeable = False
        return part
