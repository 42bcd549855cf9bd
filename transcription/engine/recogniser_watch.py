"""Whether the recogniser keeps up with the audio it gets. Pure; moments are seconds of one clock."""

from __future__ import annotations

from transcription.engine.intake import Intake
from transcription.errors import RecogniserSilent
from transcription.events import RecogniserStatus

# A stream that answers nothing for so long is given up; its successor gets twice the time if it answers nothing either.
HANG_S = 8.0
HANG_AGAIN_FACTOR = 2
# Not even a new stream answered: perhaps it hangs, perhaps it is only noise that it has nothing to say of.
MUTE_REASON = "recogniser_mute"
# Without interims the only answer is the final, and one utterance may take this long (listener.CUT_AFTER_S).
HANG_WITHOUT_INTERIMS_S = 45.0
HANG_SPEECH_S = 4.0
# A recogniser so far behind that does not hear as fast as somebody speaks will not catch up.
SLOW_LAG_S = 20.0
SLOW_FOR_S = 10.0
LAGGING_S = 5.0
LAG_OVER_S = 2.0


class RecogniserWatch:
    """Compares what one session's recogniser has heard with what came in.

    interims: whether it was asked for them. Without them it is silent while somebody speaks, and that is no lag.
    """

    __slots__ = (
        "_answered_at_s",
        "_checked_at_s",
        "_intake",
        "_interims",
        "_lagging",
        "_patience",
        "_slow_since",
        "_unanswered_speech_s",
        "answers",
        "heard_ms",
    )

    def __init__(self, intake: Intake, *, interims: bool, now_s: float) -> None:
        self.heard_ms = intake.format.bytes_to_ms(intake.floor)
        self._interims = interims
        self.answers = 0
        self._intake = intake
        self._answered_at_s = now_s
        self._checked_at_s = now_s
        self._unanswered_speech_s = 0.0
        self._lagging = False
        self._patience = 1
        self._slow_since: tuple[float, int] | None = None

    def opened(self, now_s: float) -> None:
        """The recogniser is open: until now there was nobody to answer."""
        self._answered_at_s = self._checked_at_s = now_s
        self._unanswered_speech_s = 0.0
        self._slow_since = None

    def rewound(self, position_ms: int) -> None:
        """The next stream hears everything from this position on again."""
        self.heard_ms = position_ms

    def answered(self, now_s: float) -> None:
        """A result of any kind came."""
        self.answers += 1
        self._answered_at_s, self._unanswered_speech_s = now_s, 0.0
        self._patience = 1

    def patience_s(self, at_least_s: float) -> float:
        """How long a recogniser that works may say nothing; without interims that is while it hears an utterance."""
        return at_least_s if self._interims else max(at_least_s, HANG_WITHOUT_INTERIMS_S)

    def is_quiet(self, now_s: float, for_s: float) -> bool:
        """Whether nothing was answered for so long that nothing is being worked at."""
        return now_s - self._answered_at_s >= self.patience_s(for_s)

    def heard(self, position_ms: int) -> None:
        """Audio before this position has been heard."""
        if position_ms > self.heard_ms:
            self.heard_ms = position_ms

    @property
    def is_lagging(self) -> bool:
        """Whether the client was told that results come late."""
        return self._lagging

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
        """A status that is new. Raises RecogniserSilent if speech is no longer answered, or ever later."""
        elapsed_s, self._checked_at_s = now_s - self._checked_at_s, now_s
        if self._intake.level.has_speech_energy and self.backlog_ms:
            self._unanswered_speech_s += elapsed_s
        hang_s = self.patience_s(HANG_S) * self._patience
        if now_s - self._answered_at_s >= hang_s and self._unanswered_speech_s >= HANG_SPEECH_S:
            reason = MUTE_REASON if self._patience > 1 else "recogniser_silent"
            self._patience = HANG_AGAIN_FACTOR
            raise RecogniserSilent("The recogniser takes audio but answers nothing.", reason=reason)
        if not self._interims:
            return None
        self._check_speed(now_s)
        return self._new_status(now_s)

    def _check_speed(self, now_s: float) -> None:
        """Far behind is bad only where it does not get better: a file is always ahead of its recogniser."""
        if self._lag_ms(now_s) <= SLOW_LAG_S * 1000:
            self._slow_since = None
        elif self._slow_since is None:
            self._slow_since = (now_s, self.heard_ms)
        else:
            since_s, heard_ms = self._slow_since
            if now_s - since_s >= SLOW_FOR_S:
                # One that hears nothing at all hangs, or does not say what it hears.
                if 0 < self.heard_ms - heard_ms < (now_s - since_s) * 1000:
                    raise RecogniserSilent("The recogniser is too slow.", reason="recogniser_slow")
                self._slow_since = (now_s, self.heard_ms)

    def _lag_ms(self, now_s: float) -> int:
        """How long ago the audio was here that the recogniser hears next."""
        return self.age_ms(self.heard_ms + 1, now_s) or 0 if self.backlog_ms else 0

    def _new_status(self, now_s: float) -> RecogniserStatus | None:
        lag_ms = self._lag_ms(now_s)
        # One that answered nothing to a new stream either is mute and not late.
        if lag_ms > LAGGING_S * 1000 and not self._lagging and self._patience == 1:
            self._lagging = True
            return RecogniserStatus("lagging", lag_ms)
        if lag_ms < LAG_OVER_S * 1000 and self._lagging:
            self._lagging = False
            return RecogniserStatus("ok", lag_ms)
        return None
