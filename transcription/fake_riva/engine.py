"""What the scripted Riva recognises: pure, and by audio position, whatever the size of the chunks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from riva.client.proto import riva_asr_pb2 as messages

from transcription.fake_riva.audio import FRAME_MS, Ear, Token, broken_word_text, word_text

INTERIM_EVERY_MS = 160
PROGRESS_EVERY_MS = 1000
DEFAULT_STOP_HISTORY_MS = 800
CONFIDENCE = 0.9
STABILITY = 0.5
FAR_FUTURE_MS = 2_000_000_000
# Any number without a common factor with the errors spreads them over early and late.
ERROR_STEP = 7919


@dataclass(slots=True)
class HeardWord:
    """One word on the way; times are ms of the stream."""

    number: int
    start_ms: int
    end_ms: int
    begun: bool
    last_index: int
    total: int

    def text(self, *, still_going: bool) -> str:
        ended = still_going or self.last_index == self.total - 1
        return word_text(self.number) if self.begun and ended else broken_word_text(self.number)


class ScriptedEngine:
    """Answers an interim every 160 ms of audio while words are open, and a final after stop_history of silence.

    settles: `audio_processed` of a final is the middle of the silence after it, and every second of silence has
    an empty final. bad_times: what finals say about time is impossible. word_time_error_ms: how wrong the times of
    a word may be told, early or late. stop_at_ms: audio after it is not heard.
    """

    def __init__(
        self,
        config: Any,
        *,
        settles: bool = False,
        word_times: bool = True,
        bad_times: bool = False,
        word_time_error_ms: int = 0,
        no_finals: bool = False,
        stop_at_ms: int | None = None,
    ) -> None:
        recognition = config.config
        self.position_ms = 0
        self._ear = Ear(recognition.sample_rate_hertz or 16000, recognition.audio_channel_count or 1)
        self._interims = config.interim_results
        self._stop_history_ms = recognition.endpointing_config.stop_history or DEFAULT_STOP_HISTORY_MS
        self._settles = settles
        self._word_times = word_times and recognition.enable_word_time_offsets
        self._bad_times = bad_times
        self._word_time_error_ms = word_time_error_ms
        self._no_finals = no_finals
        self._stop_at_ms = stop_at_ms
        self._words: list[HeardWord] = []
        self._silent_since_ms = 0

    @property
    def has_stopped(self) -> bool:
        return self._stop_at_ms is not None and self.position_ms >= self._stop_at_ms

    def hear(self, chunk: bytes) -> Iterator[Any]:
        """The responses that chunk completes, in order."""
        for token in self._ear.hear(chunk):
            if self.has_stopped:
                return
            self._hear_frame(token)
            yield from self._responses()

    def end_utterance(self) -> Iterator[Any]:
        """The final of what is open, if anything is."""
        if self._words:
            yield from self._final(self.position_ms)

    def _hear_frame(self, token: Token | None) -> None:
        start_ms = self.position_ms
        self.position_ms += FRAME_MS
        if token is None:
            return
        self._silent_since_ms = self.position_ms
        last = self._words[-1] if self._words else None
        if last is not None and last.number == token.number and token.index > last.last_index:
            last.end_ms, last.last_index = self.position_ms, token.index
        else:
            begun = token.index == 0
            self._words.append(HeardWord(token.number, start_ms, self.position_ms, begun, token.index, token.total))

    def _responses(self) -> Iterator[Any]:
        silent_ms = self.position_ms - self._silent_since_ms
        if self._words and silent_ms >= self._stop_history_ms and not self._no_finals:
            settled_ms = self._silent_since_ms + self._stop_history_ms // 2
            yield from self._final(settled_ms if self._settles else self.position_ms)
        elif self._words and self._interims and self.position_ms % INTERIM_EVERY_MS == 0:
            yield self._response(is_final=False, heard_ms=self.position_ms)
        elif not self._words and self._settles and self.position_ms % PROGRESS_EVERY_MS == 0:
            yield self._response(is_final=True, heard_ms=self.position_ms)

    def _final(self, heard_ms: int) -> Iterator[Any]:
        yield self._response(is_final=True, heard_ms=heard_ms)
        self._words = []

    def _told_times(self, word: HeardWord) -> tuple[int, int]:
        """The times of a word, as wrong as the script wants: which way depends on the word alone."""
        error_ms = word.number * ERROR_STEP % (2 * self._word_time_error_ms + 1) - self._word_time_error_ms
        return max(0, word.start_ms + error_ms), max(0, word.end_ms + error_ms)

    def _response(self, *, is_final: bool, heard_ms: int) -> Any:
        hypothesis = messages.SpeechRecognitionAlternative(confidence=CONFIDENCE if is_final else 0.0)
        texts = [word.text(still_going=not is_final) for word in self._words]
        hypothesis.transcript = " ".join(texts) + (" " if texts else "")
        for word, text in zip(self._words, texts, strict=True):
            times = self._told_times(word) if self._word_times else (0, 0)
            if self._bad_times and is_final:
                times = (FAR_FUTURE_MS, -FAR_FUTURE_MS)
            hypothesis.words.add(word=text, start_time=times[0], end_time=times[1], confidence=CONFIDENCE)
        result = messages.StreamingRecognitionResult(
            alternatives=[hypothesis],
            is_final=is_final,
            stability=0.0 if is_final else STABILITY,
            audio_processed=-1.0 if self._bad_times and is_final else heard_ms / 1000,
        )
        return messages.StreamingRecognizeResponse(results=[result])
