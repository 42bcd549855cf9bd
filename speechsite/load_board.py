"""How loaded each worker is, for all workers to read: one word of shared memory each.

The parent makes the board and hands its descriptor down; each worker has a slot of its own and writes only
there, so nothing needs a lock. A word is the moment it was written (ms of the machine's monotonic clock) above
the load; 0 is a slot that nobody holds. A worker that died, hangs or drains is not among the loads: its
slot was cleared, or has become stale.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Callable
from typing import Self

LOAD_BITS = 24
MAX_LOAD = (1 << LOAD_BITS) - 1
WORD_BYTES = 8
EMPTY = 0
# Workers write ten times a second (uvicorn's tick); a loop that misses five ticks takes no connections either.
STALE_AFTER_MS = 500


def monotonic_ms() -> int:
    """The same clock in every process of the machine."""
    return time.monotonic_ns() // 1_000_000


class LoadBoard:
    """fd: of a file of whole words; it stays the caller's. now_ms: a clock that all holders of a slot share."""

    def __init__(self, fd: int, *, now_ms: Callable[[], int] = monotonic_ms) -> None:
        self.fd = fd
        self._now_ms = now_ms
        self._words = memoryview(mmap.mmap(fd, os.fstat(fd).st_size)).cast("Q")

    @classmethod
    def create(cls, slots: int) -> Self:
        fd = shared_memory_fd()
        os.ftruncate(fd, slots * WORD_BYTES)
        return cls(fd)

    def post(self, slot: int, load: int) -> None:
        """Say how loaded this worker is, and that it is alive."""
        self._words[slot] = self._now_ms() << LOAD_BITS | min(load, MAX_LOAD)

    def clear(self, slot: int) -> None:
        """Nobody who accepts connections holds the slot now."""
        self._words[slot] = EMPTY

    def loads(self, *, besides: int, within_ms: int = STALE_AFTER_MS) -> list[int]:
        """Loads of the workers that said theirs within that time, without the one of slot `besides`."""
        oldest_ms = self._now_ms() - within_ms
        return [
            word & MAX_LOAD
            for slot, word in enumerate(self._words)
            if word >> LOAD_BITS >= oldest_ms and word != EMPTY and slot != besides
        ]


def shared_memory_fd() -> int:
    """An empty file in memory that children can inherit and map."""
    if hasattr(os, "memfd_create"):
        fd: int = os.memfd_create("load-board")
        return fd
    return unlinked_file_fd()


def unlinked_file_fd() -> int:
    """For systems without memfd_create, such as macOS."""
    fd, path = tempfile.mkstemp(prefix="load-board-")
    os.unlink(path)
    return fd
