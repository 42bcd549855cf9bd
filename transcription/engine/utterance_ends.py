"""Where a client ended utterances, and when everything before these places has been told. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from transcription.audio.formats import AudioFormat
from transcription.events import Event, UtteranceEnded

MAX_UTTERANCE_ENDS = 64
# A recogniser may end an utterance at its last whole step before the place: ours at one of up to 40 ms.
STEP_MS = 60
# One that has nothing to say says nothing, and is not asked twice.
QUIET_S = 2.0
PATIENCE_S = 10.0


class UtteranceEnds:
    """Positions are bytes of audio, in the order in which they were asked for."""

    __slots__ = ("_asked", "_emit", "_format", "_step")

    def __init__(self, audio_format: AudioFormat, *, emit: Callable[[Event], None]) -> None:
        self._format = audio_format
        self._step = audio_format.ms_to_bytes(STEP_MS)
        self._emit = emit
        # (position, when it was asked for)
        self._asked: deque[tuple[int, float]] = deque(maxlen=MAX_UTTERANCE_ENDS)

    @property
    def is_waiting(self) -> bool:
        return bool(self._asked)

    def ask(self, position: int, now_s: float) -> None:
        self._asked.append((position, now_s))

    def told(self, position: int) -> None:
        """Everything before a position is settled, and its finals were told."""
        while self._asked and self._asked[0][0] - self._step <= position:
            self._tell_next()

    def tick(self, now_s: float, *, is_quiet: bool) -> None:
        """is_quiet: nothing is being said, and all audio was sent."""
        while self._asked and now_s - self._asked[0][1] >= (QUIET_S if is_quiet else PATIENCE_S):
            self._tell_next()

    def _tell_next(self) -> None:
        position, _asked_at_s = self._asked.popleft()
        self._emit(UtteranceEnded(self._format.bytes_to_ms(position)))
