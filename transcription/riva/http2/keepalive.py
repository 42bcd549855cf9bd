"""Whether a server that says nothing is still there: when to ask, when to give it up. Pure; seconds of one clock."""

from __future__ import annotations

from typing import Literal

# The same as of grpc.aio (channels.py), and the same patience: a server breaks off with one that pings it for nothing.
KEEPALIVE_S = 30.0
KEEPALIVE_TIMEOUT_S = 10.0
MAX_PINGS_WITHOUT_DATA = 2

Verdict = Literal["wait", "ask", "gone"]


class Keepalive:
    """Asks a server that was quiet for KEEPALIVE_S, and finds it gone KEEPALIVE_TIMEOUT_S later.

    heard_at_s: when anything came last. asked_without_data: how often it was asked since it was sent anything else; a
    server does not bear it for ever. Whoever sends and receives keeps both, without a call for each message.
    """

    __slots__ = ("_asked_at_s", "asked_without_data", "heard_at_s")

    def __init__(self, now_s: float) -> None:
        self.heard_at_s = now_s
        self.asked_without_data = 0
        self._asked_at_s: float | None = None

    def answered(self) -> None:
        self._asked_at_s = None

    def check(self, now_s: float, *, is_used: bool) -> tuple[Verdict, float]:
        """What to do now, and after how many seconds to look again. is_used: whether there is a call to lose."""
        if self._asked_at_s is not None and now_s - self._asked_at_s >= KEEPALIVE_TIMEOUT_S:
            if self.heard_at_s <= self._asked_at_s:
                return "gone", 0.0
            self._asked_at_s = None
        if not is_used or self.asked_without_data >= MAX_PINGS_WITHOUT_DATA:
            return "wait", KEEPALIVE_S
        quiet_s = now_s - self.heard_at_s
        if quiet_s < KEEPALIVE_S:
            return "wait", KEEPALIVE_S - quiet_s
        if self._asked_at_s is not None:
            return "wait", KEEPALIVE_TIMEOUT_S
        self._asked_at_s = now_s
        self.asked_without_data += 1
        return "ask", KEEPALIVE_TIMEOUT_S
