"""Whether a server that says nothing is still there: when to ask, when to give it up. Pure; seconds of one clock."""

from __future__ import annotations

from typing import Literal

# The same as of grpc.aio (channels.py), and the same patience: a server breaks off with one that pings it for nothing.
KEEPALIVE_S = 30.0
KEEPALIVE_TIMEOUT_S = 10.0
MAX_PINGS_WITHOUT_DATA = 2

Verdict = Literal["wait", "ask", "gone"]


class Keepalive:
    """Asks a server that was quiet for KEEPALIVE_S, and finds it gone KEEPALIVE_TIMEOUT_S later."""

    __slots__ = ("_asked_at_s", "_asked_without_data", "_heard_at_s")

    def __init__(self, now_s: float) -> None:
        self._heard_at_s = now_s
        self._asked_at_s: float | None = None
        self._asked_without_data = 0

    def heard(self, now_s: float) -> None:
        """Something came, whatever it was."""
        self._heard_at_s = now_s

    def answered(self) -> None:
        self._asked_at_s = None

    def sent_data(self) -> None:
        """A server may be asked again once it was sent something else."""
        self._asked_without_data = 0

    def check(self, now_s: float, *, is_used: bool) -> tuple[Verdict, float]:
        """What to do now, and after how many seconds to look again. is_used: whether there is a call to lose."""
        if self._asked_at_s is not None and now_s - self._asked_at_s >= KEEPALIVE_TIMEOUT_S:
            if self._heard_at_s <= self._asked_at_s:
                return "gone", 0.0
            self._asked_at_s = None
        if not is_used or self._asked_without_data >= MAX_PINGS_WITHOUT_DATA:
            return "wait", KEEPALIVE_S
        quiet_s = now_s - self._heard_at_s
        if quiet_s < KEEPALIVE_S:
            return "wait", KEEPALIVE_S - quiet_s
        if self._asked_at_s is not None:
            return "wait", KEEPALIVE_TIMEOUT_S
        self._asked_at_s = now_s
        self._asked_without_data += 1
        return "ask", KEEPALIVE_TIMEOUT_S
