"""When a session has lasted too long or its client is silent too long. Pure; moments are seconds of one clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SESSION_WARNING_S = 60.0
IDLE_WARNING_SHARE = 0.75
# How long a client may stay muted with keepalives alone.
PAUSED_TIMEOUT_S = 30 * 60.0

Reason = Literal["session_timeout", "idle_timeout"]


@dataclass(frozen=True, slots=True)
class Warning:
    reason: Reason
    in_ms: int


@dataclass(frozen=True, slots=True)
class Expired:
    reason: Reason


class Timeouts:
    """One session's two clocks. Audio restarts both idle clocks, a keepalive the first."""

    __slots__ = (
        "_idle_timeout_s",
        "_idle_warned",
        "_last_audio_s",
        "_last_sign_s",
        "_session_ends_s",
        "_session_warned",
        "_session_warning_s",
    )

    def __init__(self, *, session_timeout_s: float, idle_timeout_s: float, now_s: float) -> None:
        self._session_ends_s = now_s + session_timeout_s
        self._session_warning_s = self._session_ends_s - min(SESSION_WARNING_S, session_timeout_s / 2)
        self._idle_timeout_s = idle_timeout_s
        self._last_sign_s = now_s
        self._last_audio_s = now_s
        self._session_warned = False
        self._idle_warned = False

    def heard_audio(self, now_s: float) -> None:
        self._last_audio_s = self._last_sign_s = now_s
        self._idle_warned = False

    def heard_keepalive(self, now_s: float) -> None:
        self._last_sign_s = now_s
        self._idle_warned = False

    def remaining_s(self, now_s: float) -> float:
        """How long the session may still last."""
        return max(0.0, self._session_ends_s - now_s)

    def check(self, now_s: float) -> Warning | Expired | None:
        """What is due now; each warning once, until there is a new reason for it."""
        if now_s >= self._session_ends_s:
            return Expired("session_timeout")
        idle_ends_s = min(self._last_sign_s + self._idle_timeout_s, self._last_audio_s + PAUSED_TIMEOUT_S)
        if now_s >= idle_ends_s:
            return Expired("idle_timeout")
        if not self._session_warned and now_s >= self._session_warning_s:
            self._session_warned = True
            return Warning("session_timeout", _ms(self._session_ends_s - now_s))
        idle_warning_s = idle_ends_s - self._idle_timeout_s * (1 - IDLE_WARNING_SHARE)
        if not self._idle_warned and now_s >= idle_warning_s:
            self._idle_warned = True
            return Warning("idle_timeout", _ms(idle_ends_s - now_s))
        return None


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))
