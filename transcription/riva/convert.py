"""Our options into Riva's messages and Riva's answers into our results. Pure.

The only place where seconds meet milliseconds: Riva counts words in integer milliseconds and
`audio_processed` in float seconds, both from the beginning of its stream. `audio_processed` is a 32-bit
float: exact to the millisecond in the first 2 h 16 min of a stream.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from riva.client.proto import riva_asr_pb2 as messages
from riva.client.proto import riva_audio_pb2 as audio_messages

from transcription.audio.formats import MS_PER_SECOND
from transcription.engine.recognition import Result
from transcription.options import TranscriptionConfig, clean_text
from transcription.results import Alternative, FinalResult, InterimResult, Progress, Word

# How far past the audio sent a time may lie: engines pad the end of their input with silence.
FUTURE_SLACK_MS = 1000
# The bound where bytes say nothing about time: no stream lives longer.
MAX_STREAM_MS = 48 * 60 * 60 * MS_PER_SECOND
# Scores come as 32-bit floats: 0.9 arrives as 0.8999999761581421.
SCORE_DIGITS = 4
MAX_REMEMBERED_SCORES = 256

ENCODINGS = {
    "LINEAR_PCM": audio_messages.LINEAR_PCM,
    "MULAW": audio_messages.MULAW,
    "ALAW": audio_messages.ALAW,
    "FLAC": audio_messages.FLAC,
    "OGGOPUS": audio_messages.OGGOPUS,
}


def build_config_request(config: TranscriptionConfig) -> Any:
    """The first message of a stream.

    Channels are not asked to be recognised separately: one stream gives one line of results, and an
    engine takes the first channel or mixes them. Word times are always asked for: they say where audio is settled.
    """
    recognition = messages.RecognitionConfig(
        encoding=ENCODINGS[config.encoding],
        sample_rate_hertz=config.sample_rate_hertz,
        language_code=config.language,
        max_alternatives=config.max_alternatives,
        profanity_filter=config.profanity_filter,
        speech_contexts=[
            messages.SpeechContext(phrases=context.phrases, boost=context.boost) for context in config.speech_contexts
        ],
        audio_channel_count=config.audio_channel_count,
        enable_word_time_offsets=True,
        enable_automatic_punctuation=config.enable_automatic_punctuation,
        model=config.model,
        verbatim_transcripts=config.verbatim_transcripts,
        custom_configuration=config.custom_configuration,
    )
    endpointing = config.endpointing.model_dump(exclude_none=True)
    if endpointing:
        recognition.endpointing_config.CopyFrom(messages.EndpointingConfig(**endpointing))
    if config.diarization.enable:
        recognition.diarization_config.enable_speaker_diarization = True
        recognition.diarization_config.max_speaker_count = config.diarization.max_speakers
    streaming = messages.StreamingRecognitionConfig(config=recognition, interim_results=config.enable_interim_results)
    return messages.StreamingRecognizeRequest(streaming_config=streaming)


def build_audio_request(chunk: bytes) -> Any:
    return messages.StreamingRecognizeRequest(audio_content=chunk)


def build_end_of_utterance_request() -> Any:
    """Ends the utterance now. Empty audio is set, for some servers read nothing else of a message without it."""
    return messages.StreamingRecognizeRequest(audio_content=b"", runtime_config={"force_eou": "true"})


class ResultConverter:
    """Turns the responses of one stream into results.

    base_ms: where the stream's audio begins in the session. on_bad_times: called once for each result
    whose times were impossible (negative, running backwards, past the audio sent) and were clamped.
    on_cleaned: called once for each final whose text had characters that cannot be stored. Times
    of one result are set right among themselves only: a result that repeats an earlier one stays as it is,
    so that whoever follows the session can recognise it.
    """

    __slots__ = (
        "_base_ms",
        "_interim_shown",
        "_last_final_end_ms",
        "_newest",
        "_on_bad_times",
        "_on_cleaned",
        "_with_interim_words",
        "_with_speakers",
    )

    def __init__(
        self,
        config: TranscriptionConfig,
        *,
        base_ms: int = 0,
        on_bad_times: Callable[[], object] = lambda: None,
        on_cleaned: Callable[[], object] = lambda: None,
    ) -> None:
        self._base_ms = base_ms
        self._on_bad_times = on_bad_times
        self._on_cleaned = on_cleaned
        self._with_interim_words = config.enable_word_time_offsets and config.words_in_interims
        self._with_speakers = config.diarization.enable
        self._last_final_end_ms = 0
        self._interim_shown = False
        # The pieces of the newest interim and the limit of their times: its words are rarely wanted.
        self._newest: tuple[list[Any], int] | None = None

    def convert(self, response: Any, *, sent_ms: int | None = None, settles: bool = False) -> list[Result]:
        """The results of one StreamingRecognizeResponse: finals in order, then at most one interim a channel.

        sent_ms: audio sent so far, ms of the stream; None where bytes say nothing about time. settles: as in
        Capabilities; an interim without text is then no progress, for its audio is heard but not settled.
        Riva splits an interim into a stable and a less stable piece: the pieces are joined, as in its own clients.
        """
        limit_ms = MAX_STREAM_MS if sent_ms is None else sent_ms + FUTURE_SLACK_MS
        said = response.results
        if len(said) == 1 and not (only := said[0]).is_final and only.alternatives:
            # What most responses are.
            return self._interim([only], limit_ms, settles=settles)
        results: list[Result] = []
        pieces: dict[int, list[Any]] = {}
        for result in said:
            if result.is_final or not result.alternatives:
                results += self._decided(result, limit_ms)
            else:
                pieces.setdefault(result.channel_tag, []).append(result)
        for channel_pieces in pieces.values():
            results += self._interim(channel_pieces, limit_ms, settles=settles)
        return results

    def _decided(self, result: Any, limit_ms: int) -> list[Result]:
        """A final, or progress; progress also takes back an interim that came to nothing."""
        times = _Times(limit_ms)
        heard_ms = times.position(result.audio_processed)
        best = result.alternatives[0] if result.alternatives else None
        if best is not None and best.transcript.strip():
            final = self._final(result, best, times, heard_ms)
            self._count(times)
            return [final]
        self._count(times)
        results: list[Result] = []
        if self._interim_shown:
            self._interim_shown = False
            results.append(self._withdrawal(result.channel_tag))
        if heard_ms is not None:
            results.append(Progress(heard_ms + self._base_ms))
        return results

    def _final(self, result: Any, best: Any, times: _Times, heard_ms: int | None) -> FinalResult:
        self._interim_shown = False
        words = self._words(best.words, times)
        start_ms, end_ms = self._span(best.words, best.words, times, heard_ms)
        self._last_final_end_ms = max(self._last_final_end_ms, end_ms)
        text = clean_text(best.transcript)
        if text != best.transcript:
            self._on_cleaned()
        return FinalResult(
            text=text.strip(),
            start_ms=start_ms + self._base_ms,
            end_ms=end_ms + self._base_ms,
            confidence=_score(best.confidence),
            words=words,
            alternatives=_alternatives(result.alternatives),
            channel=result.channel_tag or None,
            language=_language(best),
            audio_processed_ms=None if heard_ms is None else heard_ms + self._base_ms,
        )

    def _interim(self, pieces: list[Any], limit_ms: int, *, settles: bool) -> list[Result]:
        self._newest = (pieces, limit_ms)
        interim = self._build_interim(pieces, limit_ms, with_words=self._with_interim_words)
        if not interim.text and not self._interim_shown and not settles:
            return [] if interim.audio_processed_ms is None else [Progress(interim.audio_processed_ms)]
        self._interim_shown = bool(interim.text)
        return [interim]

    def last_interim(self) -> InterimResult | None:
        """The newest interim with its words, whatever the options say of them; None if there was none."""
        if self._newest is None:
            return None
        pieces, limit_ms = self._newest
        return self._build_interim(pieces, limit_ms, with_words=True)

    def _build_interim(self, pieces: list[Any], limit_ms: int, *, with_words: bool) -> InterimResult:
        times = _Times(limit_ms)
        first = pieces[0]
        hypotheses = first.alternatives
        best = hypotheses[0]
        if len(pieces) == 1:
            heard_ms = times.position(first.audio_processed)
            stability = first.stability
            text = clean_text(best.transcript.strip())
            told = best.words
            start_ms, end_ms = self._span(told, told, times, heard_ms)
            alone = (Alternative(text, _score(best.confidence)),)
            alternatives = alone if len(hypotheses) == 1 else _alternatives(hypotheses)
        else:
            heard_ms = times.position(max(piece.audio_processed for piece in pieces))
            stability = min(piece.stability for piece in pieces)
            text = clean_text("".join(piece.alternatives[0].transcript for piece in pieces).strip())
            told_by_piece = [words for piece in pieces if (words := piece.alternatives[0].words)] or [()]
            told = [info for words in told_by_piece for info in words]
            start_ms, end_ms = self._span(told_by_piece[0], told_by_piece[-1], times, heard_ms)
            alternatives = (Alternative(text),)
        words = self._words(told, times) if with_words else ()
        self._count(times)
        base_ms = self._base_ms
        return InterimResult(
            text=text,
            start_ms=start_ms + base_ms,
            end_ms=end_ms + base_ms,
            stability=_score(stability),
            words=words,
            alternatives=alternatives,
            channel=first.channel_tag or None,
            language=_language(best),
            audio_processed_ms=None if heard_ms is None else heard_ms + base_ms,
        )

    def _withdrawal(self, channel_tag: int) -> InterimResult:
        position_ms = self._last_final_end_ms + self._base_ms
        return InterimResult(text="", start_ms=position_ms, end_ms=position_ms, channel=channel_tag or None)

    def _words(self, infos: Sequence[Any], times: _Times) -> tuple[Word, ...]:
        if not _have_times(infos):
            return ()
        words = []
        earliest_ms = 0
        for info in infos:
            start_ms = times.clamp(info.start_time, earliest_ms)
            end_ms = times.clamp(info.end_time, start_ms)
            earliest_ms = start_ms
            words.append(
                Word(
                    word=clean_text(info.word),
                    start_ms=start_ms + self._base_ms,
                    end_ms=end_ms + self._base_ms,
                    confidence=_score(info.confidence),
                    speaker=str(info.speaker_tag) if self._with_speakers else None,
                )
            )
        return tuple(words)

    def _span(self, first: Sequence[Any], last: Sequence[Any], times: _Times, heard_ms: int | None) -> tuple[int, int]:
        """From the first word to the last; without times, from the previous final to what was heard."""
        if _have_times(last):
            start_ms, end_ms = first[0].start_time, last[-1].end_time
            if 0 <= start_ms <= end_ms <= times.limit_ms:
                return start_ms, end_ms
            start_ms = times.clamp(start_ms, 0)
            return start_ms, times.clamp(end_ms, start_ms)
        end_ms = self._last_final_end_ms if heard_ms is None else heard_ms
        return min(self._last_final_end_ms, end_ms), end_ms

    def _count(self, times: _Times) -> None:
        if times.were_bad:
            self._on_bad_times()


class _Times:
    """Clamps the times of one result to 0 ... limit_ms and remembers whether it had to."""

    __slots__ = ("limit_ms", "were_bad")

    def __init__(self, limit_ms: int) -> None:
        self.limit_ms = limit_ms
        self.were_bad = False

    def clamp(self, value_ms: int, earliest_ms: int) -> int:
        if earliest_ms <= value_ms <= self.limit_ms:
            return value_ms
        self.were_bad = True
        return max(earliest_ms, min(value_ms, self.limit_ms))

    def position(self, seconds: float) -> int | None:
        """`audio_processed` in ms; None where it is not set (0.0) or not a number."""
        if seconds == 0.0:
            return None
        if not math.isfinite(seconds):
            self.were_bad = True
            return None
        return self.clamp(round(seconds * MS_PER_SECOND), 0)


def _have_times(infos: Sequence[Any]) -> bool:
    """Whether words carry times at all: an engine without them leaves every one 0."""
    return bool(infos) and (bool(infos[-1].end_time) or any(info.end_time for info in infos))


# Many scores are the same few, and to round one takes longer than to remember it.
@functools.lru_cache(MAX_REMEMBERED_SCORES)
def _score(value: float) -> float | None:
    """A confidence or stability; 0.0 means not set."""
    return round(value, SCORE_DIGITS) if value and math.isfinite(value) else None


def _alternatives(alternatives: Iterable[Any]) -> tuple[Alternative, ...]:
    return tuple(
        Alternative(clean_text(alternative.transcript.strip()), _score(alternative.confidence))
        for alternative in alternatives
    )


def _language(alternative: Any) -> str | None:
    codes = alternative.language_code
    return codes[0] if codes else None
