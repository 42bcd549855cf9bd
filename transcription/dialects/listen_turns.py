"""Where speech begins, where utterances end and which `Finalize` is answered. Pure: positions and moments come in.

Moments are seconds of one clock, positions ms of the session's audio.
"""

from __future__ import annotations

from collections import deque

from transcription.dialects.listen_messages import SpeechStarted, UtteranceEnd
from transcription.dialects.listen_results import seconds
from transcription.results import FinalResult, InterimResult

# A recogniser tells of words this long after they were said; where it does not tell how far it has heard, so much
# more audio without a word is waited for.
TOLD_AFTER_MS = 1000
# A final that ends an utterance on request may lie a little before the end of the audio.
FINALIZE_SLACK_MS = 300
MAX_FINALIZES = 64


class Utterances:
    """Says when speech starts and when no word has followed for utterance_end_ms; None: that is not asked for."""

    def __init__(self, *, utterance_end_ms: int | None, vad_events: bool) -> None:
        self.is_open = False
        self._utterance_end_ms = utterance_end_ms
        self._vad_events = vad_events
        self._is_speaking = False
        self._last_word_end_ms: int | None = None
        self._heard_at_s = 0.0

    def heard(self, result: InterimResult | FinalResult, now_s: float) -> list[SpeechStarted | UtteranceEnd]:
        """What is told before this result."""
        self._heard_at_s = now_s
        self.is_open = bool(result.text) and isinstance(result, InterimResult)
        if not result.text:
            return []
        said: list[SpeechStarted | UtteranceEnd] = []
        first_ms = result.words[0].start_ms if result.words else result.start_ms
        if not self._is_speaking:
            said += self._ended(first_ms)
            if self._vad_events:
                said.append(SpeechStarted(timestamp=seconds(first_ms)))
            self._is_speaking = True
        if isinstance(result, FinalResult):
            self._is_speaking = False
            self._last_word_end_ms = result.words[-1].end_ms if result.words else result.end_ms
        return said

    def tick(self, *, heard_ms: int, received_ms: int | None, now_s: float) -> list[SpeechStarted | UtteranceEnd]:
        """heard_ms: what the recogniser has answered. received_ms: all audio here, None where bytes tell no time."""
        if self.is_open or self._utterance_end_ms is None:
            return []
        if received_ms is not None:
            silent_s = now_s - self._heard_at_s
            wanted_ms = self._utterance_end_ms + TOLD_AFTER_MS
            # Audio sent ahead of the recogniser is no silence: it has to have had the time to say something.
            if silent_s * 1000 >= wanted_ms:
                heard_ms = max(heard_ms, received_ms - TOLD_AFTER_MS)
        return self._ended(heard_ms)

    def _ended(self, position_ms: int) -> list[SpeechStarted | UtteranceEnd]:
        last_ms = self._last_word_end_ms
        if last_ms is None or self._utterance_end_ms is None or position_ms - last_ms < self._utterance_end_ms:
            return []
        self._last_word_end_ms = None
        return [UtteranceEnd(last_word_end=seconds(last_ms))]


class Finalizes:
    """Each `Finalize` until it is answered. One answer may stand for several.

    Positions are ms of the end of the audio then; None where bytes tell no time.
    """

    def __init__(self) -> None:
        self._asked: deque[int | None] = deque(maxlen=MAX_FINALIZES)

    def ask(self, position_ms: int | None) -> None:
        self._asked.append(position_ms)

    def heard(self, final: FinalResult) -> bool:
        """Whether this final is an answer: all that was said before a `Finalize` is told with it."""
        return self._answered(final.audio_processed_ms)

    def ended(self, end_ms: int) -> bool:
        """Everything before end_ms was told: whether something was asked for there that no final has answered."""
        return self._answered(end_ms)

    def end(self) -> bool:
        """Everything was told, for the stream is over."""
        return self._answered(None)

    def _answered(self, told_ms: int | None) -> bool:
        before = len(self._asked)
        while self._asked and _is_covered(self._asked[0], told_ms):
            self._asked.popleft()
        return len(self._asked) < before


def _is_covered(asked_ms: int | None, told_ms: int | None) -> bool:
    return asked_ms is None or told_ms is None or told_ms >= asked_ms - FINALIZE_SLACK_MS
