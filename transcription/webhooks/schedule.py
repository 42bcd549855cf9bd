"""When a delivery that failed is tried again. No I/O."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from email.utils import parsedate_to_datetime

MINUTE_S = 60.0
HOUR_S = 3600.0
# After the first, second … failure: a restart, a deployment, an outage, a night, a weekend's day.
RETRY_AFTER_S = (30.0, 5 * MINUTE_S, 30 * MINUTE_S, 2 * HOUR_S, 8 * HOUR_S, 24 * HOUR_S)
MAX_ATTEMPTS = len(RETRY_AFTER_S) + 1
# So that what failed together is not tried again together.
JITTER = 0.2
# A receiver may ask for a longer pause than the schedule's, but not for ever.
LONGEST_RETRY_AFTER_S = 24 * HOUR_S


def retry_in_s(
    attempts: int, *, asked_s: float | None = None, jitter: Callable[[float, float], float] = random.uniform
) -> float | None:
    """How long to wait after so many failed attempts; None: it was the last.

    asked_s: what the receiver's Retry-After says, if it does. It lengthens the pause and never shortens it.
    """
    if attempts >= MAX_ATTEMPTS:
        return None
    pause_s = RETRY_AFTER_S[max(attempts, 1) - 1] * jitter(1.0, 1.0 + JITTER)
    return max(pause_s, min(asked_s, LONGEST_RETRY_AFTER_S)) if asked_s is not None else pause_s


def parse_retry_after(value: str, *, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which has either seconds or a date (RFC 9110 section 10.2.3); None for
    what is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, (parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
