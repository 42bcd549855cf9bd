"""A timer that keeps to microseconds: event loops round to milliseconds, which would make speakers speak in chorus."""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
import time
from collections.abc import Callable

CLOCK_MONOTONIC = 1
TFD_TIMER_ABSTIME = 1
# From libc's sys/timerfd.h; os.timerfd_create is there from Python 3.13 on.
TFD_NONBLOCK = os.O_NONBLOCK


class PreciseTimer:
    """Calls back at a moment of time.monotonic(). Linux; elsewhere it is the loop's own timer."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_time: Callable[[], None]) -> None:
        self._loop = loop
        self._on_time = on_time
        self._handle: asyncio.TimerHandle | None = None
        self._fd = -1
        if sys.platform == "linux":
            self._libc = ctypes.CDLL(None, use_errno=True)
            self._fd = self._libc.timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK)
        if self._fd >= 0:
            loop.add_reader(self._fd, self._expired)

    def call_at(self, moment_s: float) -> None:
        """Call back then, or at once where that is past; an earlier request is forgotten."""
        if self._fd < 0:
            self._handle = self._loop.call_later(max(0.0, moment_s - time.monotonic()), self._on_time)
            return
        moment_ns = max(1, round(moment_s * 1e9))
        # struct itimerspec: interval, then the moment; each seconds and nanoseconds.
        spec = struct.pack("@4l", 0, 0, moment_ns // 1_000_000_000, moment_ns % 1_000_000_000)
        if self._libc.timerfd_settime(self._fd, TFD_TIMER_ABSTIME, spec, None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)

    def _expired(self) -> None:
        os.read(self._fd, 8)
        self._on_time()
