"""How much one connection may send. Pure."""

from __future__ import annotations

from transcription.errors import TooFast
from transcription.limits.rates import RateLimit

MAX_MESSAGES_PER_SECOND = 1000
# Larger messages are not counted: credit bounds their number, and a client that catches up sends what it has
# in the pieces it has.
COUNTED_BELOW_BYTES = 1024
CONTROL_MESSAGES_PER_SECOND = 20
CONTROL_MESSAGES_BURST = 40


class ConnectionLimits:
    """Counts small messages, and apart those that are no audio."""

    def __init__(self) -> None:
        self._messages = RateLimit(MAX_MESSAGES_PER_SECOND, MAX_MESSAGES_PER_SECOND)
        self._control = RateLimit(CONTROL_MESSAGES_PER_SECOND, CONTROL_MESSAGES_BURST)

    def count_message(self, size_bytes: int, now_s: float) -> None:
        """Raises TooFast past MAX_MESSAGES_PER_SECOND of under COUNTED_BELOW_BYTES."""
        if size_bytes < COUNTED_BELOW_BYTES and not self._messages.allows(now_s):
            raise TooFast(
                f"More than {MAX_MESSAGES_PER_SECOND} messages of under {COUNTED_BELOW_BYTES} bytes a second.",
                reason="too_many_messages",
            )

    def count_control(self, now_s: float) -> None:
        """Raises TooFast past CONTROL_MESSAGES_PER_SECOND."""
        if not self._control.allows(now_s):
            raise TooFast(
                f"More than {CONTROL_MESSAGES_PER_SECOND} control messages a second.", reason="too_many_messages"
            )
