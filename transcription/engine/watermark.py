"""When audio is settled: heard, decided and not needed again. Pure; times are ms of the session's audio.

The watermark W may only lie where a recogniser that starts afresh at W gives the same words as one that
heard everything: in silence between two words, or where the recogniser itself declares it. So a final is
stored only up to a place where W may lie; the words after it are carried, and joined to the next final of the
same stream or said again by the next stream.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

from transcription.engine.recognition import Capabilities
from transcription.results import Alternative, FinalResult, InterimResult, Progress, Word

# A final whose last word ended this long before the audio heard was closed by silence, not by force.
ENDPOINT_SILENCE_MS = 600
# W lies in the middle of the 800 ms of silence that close an utterance: word times may be wrong by 200 ms.
WATERMARK_PAD_MS = 400
# Silence this long after the last word moves W too, so that a quiet session holds no minutes of audio.
LONG_SILENCE_MS = 5000
LONG_SILENCE_MARGIN_MS = 2000
# Where nobody pauses W lies in the widest gap between two words of this stretch before the end.
CUT_WINDOW_MS = 15_000
# Words of a new stream that end this close after its start are the last ones before it, heard again.
REPLAYED_WORD_MS = 80
# What an engine that settles says up to so close before the end of a cut was broken off there; an utterance that
# ends by itself settles in the middle of the silence after it.
CUT_OFF_MS = 200


class Watermark:
    """Follows one session's results and says what is to be stored and up to where audio is settled.

    It never goes back. settled_ms: where a session goes on that is taken up again. pad_ms: how far behind the
    last word W lies (another one for tests of what it is good for).
    """

    __slots__ = (
        "_base_ms",
        "_heard_to_ms",
        "_interim_pending",
        "_is_cut",
        "_is_sure",
        "_last",
        "_pad_ms",
        "_said_since_half_close",
        "carried",
        "repeated",
        "settled_ms",
        "wants_cut",
    )

    def __init__(self, settled_ms: int = 0, *, pad_ms: int = WATERMARK_PAD_MS) -> None:
        self.settled_ms = settled_ms
        # Words that were said for good but not yet to be stored; they come before the next interim and final.
        self.carried: FinalResult | None = None
        # Finals of this session that said nothing new.
        self.repeated = 0
        # The recogniser gives nothing to find a settled place by: only the end of a stream settles.
        self.wants_cut = False
        self._pad_ms = pad_ms
        # Where this stream began by word times, which may be wrong; None where it began at a sure place.
        self._base_ms = settled_ms or None
        self._is_sure = settled_ms == 0
        self._heard_to_ms = settled_ms
        self._last: FinalResult | None = None
        self._interim_pending = False
        self._said_since_half_close = False
        self._is_cut = False

    @property
    def is_open(self) -> bool:
        """Whether something was said after the settled position."""
        return self._interim_pending or self.carried is not None

    def restart(self) -> None:
        """A new stream hears the audio from the settled position on; what the old one left open comes again."""
        self.carried = self._last = None
        self._interim_pending = self.wants_cut = self._is_cut = False
        self._base_ms = None if self._is_sure else self.settled_ms
        self._heard_to_ms = self.settled_ms

    def on_interim(self, interim: InterimResult) -> InterimResult:
        """Something is being said: silence rules wait for its final. Returns the interim with what is carried."""
        self._interim_pending = bool(interim.text)
        return interim if self.carried is None else _with_carried(self.carried, interim)

    def on_final(
        self, final: FinalResult, capabilities: Capabilities, *, sent_ms: int, asked_for: bool = False
    ) -> FinalResult | None:
        """What is to be stored of a final, if anything. W is then behind it.

        sent_ms: audio sent so far. asked_for: the client ended this utterance itself, so it ends where it does.
        """
        self._interim_pending = False
        heard_ms = None if final.audio_processed_ms is None else min(final.audio_processed_ms, sent_ms)
        if self._is_repeated(final):
            self.repeated += 1
            return None
        self._last = final
        self._said_since_half_close = True
        if capabilities.settles and heard_ms is not None:
            if self._is_cut and heard_ms > sent_ms - CUT_OFF_MS:
                self.carried = final if self.carried is None else join(self.carried, final)
                return None
            return self._store(final, heard_ms)
        if not (capabilities.word_times and final.words):
            return self._hold(final, heard_ms, asked_for=asked_for)
        fresh = self._without_replayed_words(final)
        if fresh is None:
            self.repeated += 1
            return None
        return self._store_to_silence(fresh, heard_ms if heard_ms is not None else sent_ms, asked_for)

    def on_progress(self, progress: Progress, capabilities: Capabilities) -> None:
        """Audio was heard that held nothing to say."""
        heard_ms = progress.audio_processed_ms
        if capabilities.settles:
            self._interim_pending = False
            self._raise_to(heard_ms)
        elif capabilities.word_times and not self.is_open and heard_ms - self._heard_to_ms > LONG_SILENCE_MS:
            self._raise_to(heard_ms - LONG_SILENCE_MARGIN_MS)

    def half_closed(self, *, is_cut: bool) -> None:
        """The stream was told that it gets no more audio; what it says from now on may be cut off at the end.

        is_cut: more audio follows, on another stream.
        """
        self._said_since_half_close = False
        self._is_cut = is_cut

    def on_cut(self, sent_ms: int, unfinished: InterimResult | None) -> FinalResult | None:
        """A stream was ended on purpose and gave all it had. Returns what is to be stored of what was open.

        unfinished: an interim that no final followed, with its words. W moves as far as it may: to the end, or
        into the widest gap of what the end cut off, whose words after the gap come again.
        """
        stored = None
        if unfinished is not None and unfinished.text:
            stored = self._cut(_as_final(unfinished))
            self._said_since_half_close = True
        is_whole = not self._said_since_half_close
        # No gap in all that time: its words are as good as they get.
        is_endless = self.settled_ms < sent_ms - CUT_WINDOW_MS
        if self.carried is not None and (is_whole or is_endless):
            carried, self.carried = self.carried, None
            stored = carried if stored is None else join(stored, carried)
        if self.carried is None:
            self._raise_to(sent_ms)
        return stored

    def on_flushed(self, sent_ms: int, unfinished: InterimResult | None) -> FinalResult | None:
        """The session's audio is over and the recogniser gave everything it had: all of it is settled.

        Returns what was still open, to be stored.
        """
        rest = self.take_open(unfinished)
        self._raise_to(sent_ms)
        return rest

    def take_open(self, unfinished: InterimResult | None) -> FinalResult | None:
        """What was said after W and is not stored, as the best there will be; W stays where it is."""
        carried, self.carried = self.carried, None
        self._interim_pending = False
        if unfinished is None or not unfinished.text:
            return carried
        final = _as_final(unfinished)
        return final if carried is None else join(carried, final)

    # How far a final may be stored

    def _store(self, final: FinalResult, settled_ms: int, *, is_sure: bool = True) -> FinalResult:
        whole = final if self.carried is None else join(self.carried, final)
        self.carried = None
        self._heard_to_ms = max(self._heard_to_ms, whole.end_ms)
        self._raise_to(settled_ms, is_sure=is_sure)
        return whole

    def _store_to_silence(self, final: FinalResult, heard_ms: int, asked_for: bool) -> FinalResult | None:
        last_word_end_ms = final.words[-1].end_ms
        if heard_ms - last_word_end_ms >= ENDPOINT_SILENCE_MS:
            return self._store(final, last_word_end_ms + self._pad_ms, is_sure=False)
        if asked_for:
            return self._store(final, max(last_word_end_ms, heard_ms))
        return self._cut(final)

    def _cut(self, final: FinalResult) -> FinalResult | None:
        """Store up to the widest gap of the last CUT_WINDOW_MS; carry the words after it."""
        whole = final if self.carried is None else join(self.carried, final)
        self.carried = whole
        gap = widest_gap(whole.words)
        if gap is None:
            return None
        before, after = split(whole, gap)
        middle_ms = (before.words[-1].end_ms + after.words[0].start_ms) // 2
        if middle_ms <= self.settled_ms:
            return None
        self.carried = after
        self._heard_to_ms = max(self._heard_to_ms, before.end_ms)
        self._raise_to(middle_ms, is_sure=False)
        return before

    def _hold(self, final: FinalResult, heard_ms: int | None, *, asked_for: bool) -> FinalResult | None:
        """Nothing says where the words are: they wait for the end of the stream, which is wanted soon."""
        if asked_for and heard_ms is not None:
            return self._store(final, heard_ms)
        self.carried = final if self.carried is None else join(self.carried, final)
        self.wants_cut = True
        return None

    # What was said before

    def _is_repeated(self, final: FinalResult) -> bool:
        last = self._last
        return last is not None and (last.text, last.start_ms, last.end_ms, last.audio_processed_ms) == (
            final.text,
            final.start_ms,
            final.end_ms,
            final.audio_processed_ms,
        )

    def _without_replayed_words(self, final: FinalResult) -> FinalResult | None:
        """A stream that began at W may hear the end of a word before it; None if there is nothing else."""
        if self._base_ms is None:
            return final
        earliest_ms = self._base_ms + REPLAYED_WORD_MS
        first = next((index for index, word in enumerate(final.words) if word.end_ms > earliest_ms), None)
        if first is None:
            return None
        return split(final, first)[1] if first else final

    def _raise_to(self, position_ms: int, *, is_sure: bool = True) -> None:
        if position_ms > self.settled_ms:
            self.settled_ms, self._is_sure = position_ms, is_sure


def widest_gap(words: tuple[Word, ...]) -> int | None:
    """The index of the word after the widest gap in the last CUT_WINDOW_MS; None where words follow without any."""
    if not words:
        return None
    earliest_ms = words[-1].end_ms - CUT_WINDOW_MS
    widths = [
        (after.start_ms - before.end_ms, index)
        for index, (before, after) in enumerate(pairwise(words), start=1)
        if before.end_ms >= earliest_ms
    ]
    width_ms, index = max(widths, default=(0, 0))
    return index if width_ms > 0 else None


def split(final: FinalResult, at: int) -> tuple[FinalResult, FinalResult]:
    """The words before index `at` and those from it on. 0 < at < number of words."""
    tokens = final.text.split()
    if len(tokens) != len(final.words):
        # Then the recogniser wrote several words as one; what it said word by word is the same without that.
        tokens = [word.word for word in final.words]
    return _part(final, tokens, 0, at), _part(final, tokens, at, len(tokens))


def join(first: FinalResult, second: FinalResult) -> FinalResult:
    """Two finals that follow each other as one. Only the best hypothesis of each fits the other's."""
    text = f"{first.text} {second.text}".strip()
    scores = [final.confidence for final in (first, second) if final.confidence is not None]
    return replace(
        second,
        text=text,
        start_ms=min(first.start_ms, second.start_ms),
        end_ms=max(first.end_ms, second.end_ms),
        confidence=min(scores, default=None),
        words=first.words + second.words,
        alternatives=(Alternative(text, min(scores, default=None)),),
    )


def _part(final: FinalResult, tokens: list[str], first: int, last: int) -> FinalResult:
    words = final.words[first:last]
    text = " ".join(tokens[first:last])
    return replace(
        final,
        text=text,
        start_ms=words[0].start_ms,
        end_ms=words[-1].end_ms,
        words=words,
        alternatives=(Alternative(text, final.confidence),),
    )


def _with_carried(carried: FinalResult, interim: InterimResult) -> InterimResult:
    text = f"{carried.text} {interim.text}".strip()
    return replace(
        interim,
        text=text,
        start_ms=min(carried.start_ms, interim.start_ms),
        words=carried.words + interim.words if interim.words else (),
        alternatives=(Alternative(text),),
    )


def _as_final(interim: InterimResult) -> FinalResult:
    return FinalResult(
        text=interim.text,
        start_ms=interim.start_ms,
        end_ms=interim.end_ms,
        words=interim.words,
        alternatives=interim.alternatives,
        channel=interim.channel,
        language=interim.language,
        audio_processed_ms=interim.audio_processed_ms,
    )
