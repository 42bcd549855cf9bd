"""Keeps new sessions from waiting for a recogniser that is known to be away. Pure; moments are seconds of one clock.

Sessions that are live already go on trying by themselves.
"""

from __future__ import annotations

import math
from collections import deque

from transcription.errors import AtCapacity, RecogniserFailed, TranscriptionError

FAILURES = 5
WITHIN_S = 10.0
OPEN_FOR_S = 10.0
# Credentials do not become right by trying again, and services lock out those who try.
CREDENTIALS_OPEN_FOR_S = 60.0
CREDENTIALS_REASON = "recogniser_credentials"
BUSY_REASON = "recogniser_busy"
# After a refusal for want of room this share of the streams held then is aimed at for so long.
BUSY_SHARE = 0.9
BUSY_FOR_S = 30.0


class Breaker:
    """One recogniser's recent failures to open a stream. Open: new sessions are refused at once."""

    def __init__(self) -> None:
        self._failed_at_s: deque[float] = deque(maxlen=FAILURES)
        self._closed_again_s = 0.0
        self._error: TranscriptionError | None = None
        self._probing_until_s = 0.0
        self._ceiling: int | None = None
        self._ceiling_until_s = 0.0

    def check(self, now_s: float, *, streams: int) -> None:
        """Raises what a new session is told while the recogniser is known to be away or full.

        streams: sessions live in this process. Once OPEN_FOR_S is over a single one is let through to find out.
        """
        if self._ceiling is not None and now_s < self._ceiling_until_s and streams >= self._ceiling:
            raise AtCapacity(
                "The recogniser takes no more streams at the moment.",
                reason=BUSY_REASON,
                retry_after_ms=_ms(self._ceiling_until_s - now_s),
            )
        if self._error is None:
            return
        if now_s < self._closed_again_s:
            raise self._refusal(self._closed_again_s - now_s)
        if now_s < self._probing_until_s:
            raise self._refusal(self._probing_until_s - now_s)
        self._probing_until_s = now_s + OPEN_FOR_S

    def opened(self) -> None:
        self._error = None
        self._failed_at_s.clear()
        self._probing_until_s = 0.0

    def failed(self, error: TranscriptionError, now_s: float, *, streams: int) -> None:
        """A stream could not be opened."""
        if error.reason == BUSY_REASON:
            self._ceiling, self._ceiling_until_s = max(1, math.ceil(streams * BUSY_SHARE)), now_s + BUSY_FOR_S
            return
        if error.reason == CREDENTIALS_REASON:
            self._error, self._closed_again_s = error, now_s + CREDENTIALS_OPEN_FOR_S
            return
        if not error.retryable:
            return
        self._failed_at_s.append(now_s)
        is_many = len(self._failed_at_s) == FAILURES and now_s - self._failed_at_s[0] <= WITHIN_S
        if is_many or self._error is not None:
            self._error, self._closed_again_s = error, now_s + OPEN_FOR_S

    def _refusal(self, for_s: float) -> TranscriptionError:
        assert self._error is not None  # noqa: S101 - asked for while open
        if self._error.reason == CREDENTIALS_REASON:
            return RecogniserFailed(self._error.message, reason=CREDENTIALS_REASON, retryable=False)
        return AtCapacity(
            "The recogniser cannot be reached. Please try again in a moment.",
            reason="recogniser_unreachable",
            retry_after_ms=_ms(for_s),
        )


def _ms(seconds: float) -> int:
    return max(1, round(seconds * 1000))
