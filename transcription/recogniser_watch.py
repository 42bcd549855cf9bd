"""Whether the recogniser keeps up with the audio it gets. Pure; moments are seconds of one clock."""

from __future__ import annotations

from transcription.errors import RecogniserSilent
from transcription.events import RecogniserStatus
from transcription.intake import Intake

# A session whose recogniser hangs ends, so a busy one is given time: it may skip interims of a whole utterance.
HANG_S = 20.0
# Without interims the only answer is the final, and one utterance may take this long (intake.UNSETTLED_SPAN_S).
HANG_WITHOUT_INTERIMS_S = 45.0
HANG_SPEECH_S = 4.0
LAGGING_S = 5.0
LAG_OVER_S = 2.0


class RecogniserWatch:
    """Compares what one session's recogniser has heard with what came in.

    interims: whether it was asked for them. Without them it is silent while somebody speaks, and that is no lag.
    """

    def __init__(self, intake: Intake, *, interims: bool, now_s: float) -> None:
        self.heard_ms = 0
        self._interims = interims
        self.answers = 0
        self._intake = intake
        self._answered_at_s = now_s
        self._checked_at_s = now_s
        self._unanswered_speech_s = 0.0
        self._lagging = False

    def opened(self, now_s: float) -> None:
        """The recogniser is open: until now there was nobody to answer."""
        self._answered_at_s = self._checked_at_s = now_s

    def answered(self, now_s: float) -> None:
        """A result of any kind came."""
        self.answers += 1
        self._answered_at_s, self._unanswered_speech_s = now_s, 0.0

    def heard(self, position_ms: int) -> None:
        """Audio before this position has been heard."""
        self.heard_ms = max(self.heard_ms, position_ms)

    @property
    def backlog_ms(self) -> int:
        """Audio with something to hear in it that the recogniser has not answered yet."""
        return max(0, self._intake.format.bytes_to_ms(self._intake.speech_until) - self.heard_ms)

    def age_ms(self, position_ms: int, now_s: float) -> int | None:
        """How long ago the audio before a position was here; None if it is not, or bytes say nothing about time."""
        if not self._intake.format.has_constant_rate:
            return None
        age_s = self._intake.age_s(self._intake.format.ms_to_bytes(position_ms), now_s)
        return None if age_s is None else round(age_s * 1000)

    def check(self, now_s: float) -> RecogniserStatus | None:
        """A status that is new. Raises RecogniserSilent if speech is no longer answered."""
        elapsed_s, self._checked_at_s = now_s - self._checked_at_s, now_s
        if self._intake.level.has_speech_energy and self.backlog_ms:
            self._unanswered_speech_s += elapsed_s
        hang_s = HANG_S if self._interims else HANG_WITHOUT_INTERIMS_S
        if now_s - self._answered_at_s >= hang_s and self._unanswered_speech_s >= HANG_SPEECH_S:
            raise RecogniserSilent("The recogniser takes audio but answers nothing.")
        return self._new_status(now_s) if self._interims else None

    def _new_status(self, now_s: float) -> RecogniserStatus | None:
        lag_ms = self.age_ms(self.heard_ms + 1, now_s) or 0 if self.backlog_ms else 0
        if lag_ms > LAGGING_S * 1000 and not self._lagging:
            self._lagging = True
            return RecogniserStatus("lagging", lag_ms)
        if lag_ms < LAG_OVER_S * 1000 and self._lagging:
            self._lagging = False
            return RecogniserStatus("ok", lag_ms)
        return None
