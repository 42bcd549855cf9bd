"""What the client is told of its audio: received, settled for good, and how far it may go on. Pure."""

from __future__ import annotations

from collections.abc import Callable

from transcription.engine.intake import Intake
from transcription.events import Ack, Event
from transcription.recording.tape import Tape

ACK_EVERY_S = 1.0
ACK_EVERY_BYTES = 64 * 1024


class Acks:
    """Tells at once when asked, each ACK_EVERY_S if there is news, and each ACK_EVERY_BYTES.

    committed_bytes: the position before which everything is settled in the database.
    """

    __slots__ = ("_emit", "_intake", "_tape", "_told", "_told_at_s", "committed_bytes")

    def __init__(self, intake: Intake, *, emit: Callable[[Event], None], tape: Tape | None = None) -> None:
        self.committed_bytes = 0
        self._intake = intake
        self._emit = emit
        self._told_at_s = 0.0
        self._told: tuple[int, int | None, int | None] = (-1, None, None)
        self._tape = tape

    @property
    def safe(self) -> int | None:
        """What the client may forget, as it counts; None where bytes say nothing about time."""
        if self._tape is None or self._tape.problem is not None or self.committed_bytes <= self._tape.written_to:
            return self.settled
        # It is kept: should this process die, the client is to send it again.
        return self._intake.on_wire(self._tape.written_to) if self._intake.format.has_constant_rate else None

    @property
    def settled(self) -> int | None:
        """The same, whether it is kept already or not."""
        return self._intake.on_wire(self.committed_bytes) if self._intake.format.has_constant_rate else None

    def committed(self, committed_bytes: int, now_s: float) -> None:
        """Everything before this position is settled from now on: the client may forget it."""
        self.committed_bytes = committed_bytes
        self.tell(now_s)

    def tell(self, now_s: float) -> None:
        self._told_at_s = now_s
        self._told = (self._intake.received_on_wire, self._intake.limit_on_wire, self.safe)
        self._emit(Ack(self._told[0], self._told[2], self._told[1]))

    def on_audio(self, now_s: float) -> None:
        if self._intake.received_on_wire - self._told[0] >= ACK_EVERY_BYTES:
            self.tell(now_s)

    def tick(self, now_s: float) -> None:
        """A client that waits at its limit sends nothing: it must hear that the limit moved."""
        news = (self._intake.received_on_wire, self._intake.limit_on_wire, self.safe)
        if news != self._told and now_s - self._told_at_s >= ACK_EVERY_S:
            self.tell(now_s)
