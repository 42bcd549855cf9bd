"""What a recogniser said of one session: the open interim, what goes to the store, and up to where all is settled."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from transcription import metrics
from transcription.engine.commits import Commits
from transcription.engine.intake import Intake
from transcription.engine.latency import Latency
from transcription.engine.recogniser_watch import RecogniserWatch
from transcription.engine.recognition import Capabilities, Result
from transcription.engine.utterance_ends import UtteranceEnds
from transcription.engine.watermark import Watermark
from transcription.events import Event, Interim
from transcription.options import TranscriptionConfig
from transcription.results import FinalResult, InterimResult, Progress


class Hearing:
    """Takes one session's results, over any number of streams.

    Finals go to `commits` as far as the watermark allows; audio before it is let go by the intake. The open
    interim is told at once, where the client wants interims.
    """

    __slots__ = (
        "_commits",
        "_emit",
        "_ended_utterances",
        "_intake",
        "_interim_came",
        "_keeps_tails",
        "_latency",
        "_lost_tail",
        "_on_settled",
        "_said",
        "_utterance_ends",
        "_wants_interims",
        "_wants_words",
        "_watch",
        "_watermark",
        "first_audio_at_s",
        "interim",
        "tails",
    )

    def __init__(
        self,
        *,
        intake: Intake,
        commits: Commits,
        watch: RecogniserWatch,
        watermark: Watermark,
        latency: Latency,
        config: TranscriptionConfig,
        utterance_ends: UtteranceEnds,
        emit: Callable[[Event], None],
        on_settled: Callable[[], None],
    ) -> None:
        # What operators and the client see of the open utterance.
        self.interim: InterimResult | None = None
        # Finals of a flush that nobody waits for the end of: cut off, so not settled.
        self.tails: list[FinalResult] = []
        self.first_audio_at_s: float | None = None
        self._intake = intake
        self._commits = commits
        self._watch = watch
        self._watermark = watermark
        self._latency = latency
        self._wants_interims = config.enable_interim_results
        # Words are always asked for: their times say where audio is settled.
        self._wants_words = config.enable_word_time_offsets
        self._utterance_ends = utterance_ends
        self._emit = emit
        self._on_settled = on_settled
        # The newest interim as the recogniser said it, until its final.
        self._said: InterimResult | None = None
        # What the newest interim had heard, and when it came.
        self._interim_came: tuple[int, float] | None = None
        self._ended_utterances = 0
        self._keeps_tails = False
        # What a stream said in a flush before it was lost, until the next one says it again.
        self._lost_tail: tuple[tuple[FinalResult, bool], ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether words were heard that are not settled."""
        return self._watermark.is_open

    @property
    def wants_cut(self) -> bool:
        """Whether only the end of the stream can settle what was said."""
        return self._watermark.wants_cut

    @property
    def interim_lag_ms(self) -> int | None:
        """How long after its audio the newest interim came; None before the first one, or where it is not known."""
        return None if self._interim_came is None else self._watch.age_ms(*self._interim_came)

    def end_utterance_asked(self) -> None:
        """The client ended its utterance: the next final ends where it does."""
        self._ended_utterances += 1

    def keep_tails(self) -> None:
        """From now on finals are cut off by the end of the audio: kept apart, as tails, and nothing more is settled."""
        self._keeps_tails = True

    def take(self, result: Result, capabilities: Capabilities, now_s: float) -> None:
        """Raises StorageUnavailable where too many finals wait to be stored."""
        self._watch.answered(now_s)
        if isinstance(result, InterimResult):
            # It settles nothing.
            self._on_interim(result, now_s)
            return
        match result:
            case FinalResult():
                self._on_final(result, capabilities, now_s)
            case Progress():
                self._watch.heard(result.audio_processed_ms)
                if not self._keeps_tails:
                    heard = Progress(min(result.audio_processed_ms, self._sent_ms))
                    self._watermark.on_progress(heard, capabilities)
        self.settle()

    def settle(self, *, is_over: bool = False) -> None:
        """Let go of audio that is settled. Until finals are committed the client keeps it too: safe waits.

        is_over: all of it is, the last part of a millisecond too.
        """
        audio_format = self._intake.format
        sent = audio_format.align(self._intake.sent)
        settled = sent if is_over else min(audio_format.ms_to_bytes(self._watermark.settled_ms), sent)
        self._intake.settle(settled)
        self._commits.settle(settled, header_bytes=self._intake.header_bytes)
        if self._utterance_ends.is_waiting and not self._commits.has_pending:
            self._utterance_ends.told(settled)
        self._on_settled()

    # Ends of streams

    def restart(self) -> None:
        """A new stream begins at the settled position. What was open stays to be seen until it comes again."""
        if self._keeps_tails:
            self._lost_tail = self.take_tail(None)
            self.tails.clear()
        self._watermark.restart()
        self._said = None
        self._ended_utterances = 0

    def half_closed(self, *, is_cut: bool) -> None:
        self._watermark.half_closed(is_cut=is_cut)

    def on_cut(self, unfinished: InterimResult | None, now_s: float) -> None:
        """The stream was ended on purpose, in the middle of the session, and gave all it had."""
        unfinished = self._unfinished(unfinished)
        stored = self._watermark.on_cut(self._sent_ms, unfinished)
        if stored is not None:
            self._store(stored, now_s, promoted=unfinished is not None)
        self.settle()

    def on_flushed(self, unfinished: InterimResult | None, now_s: float) -> None:
        """The audio is over and all of it was answered."""
        unfinished = self._unfinished(unfinished)
        rest = self._watermark.on_flushed(self._sent_ms, unfinished)
        if rest is not None:
            self._store(rest, now_s, promoted=unfinished is not None)
        self._watch.heard(self._watermark.settled_ms)
        self.settle(is_over=True)

    def take_tail(self, unfinished: InterimResult | None) -> tuple[tuple[FinalResult, bool], ...]:
        """What was said after the settled position, in order, each with whether it is promoted from an interim."""
        unfinished = self._unfinished(unfinished)
        # What was carried came before the finals of the flush, an interim that nothing followed after them.
        tail = self._open_words(None if self.tails else unfinished)
        tail += [(final, False) for final in self.tails]
        if self.tails:
            tail += self._open_words(unfinished)
        if not tail:
            # Lost with its stream, and not said again.
            tail = [*self._lost_tail] or self._open_words(self.interim)
        self.interim = None
        return tuple(tail)

    def _open_words(self, unfinished: InterimResult | None) -> list[tuple[FinalResult, bool]]:
        rest = self._watermark.take_open(unfinished)
        return [] if rest is None else [(rest, unfinished is not None)]

    def _unfinished(self, with_words: InterimResult | None) -> InterimResult | None:
        """The interim that no final followed, with its words where the stream still has them."""
        return None if self._said is None else with_words or self._said

    @property
    def _sent_ms(self) -> int:
        if not self._intake.format.has_constant_rate:
            return self._watch.heard_ms
        return self._intake.format.bytes_to_ms(self._intake.format.align(self._intake.sent))

    # Results

    def _on_interim(self, result: InterimResult, now_s: float) -> None:
        self._said = result if result.text else None
        heard_ms = result.audio_processed_ms or result.end_ms
        self._watch.heard(heard_ms)
        shown = self.interim
        self.interim = interim = self._watermark.on_interim(result)
        # An interim without text says only that the recogniser lives.
        if self._latency.first_interim_ms is None and result.text and self.first_audio_at_s is not None:
            self._latency.first_interim_ms = round((now_s - self.first_audio_at_s) * 1000)
            metrics.FIRST_INTERIM_SECONDS.observe(now_s - self.first_audio_at_s)
        self._interim_came = (heard_ms, now_s)
        if self._wants_interims and (interim.text or shown is not None):
            self._emit(Interim(self._commits.next_segment, interim))

    def _on_final(self, result: FinalResult, capabilities: Capabilities, now_s: float) -> None:
        self._said = None
        self._watch.heard(result.audio_processed_ms or result.end_ms)
        if self._keeps_tails:
            self.interim = None
            self.tails.append(result)
            return
        asked_for = self._ended_utterances > 0
        self._ended_utterances -= asked_for
        # Where bytes tell no time nothing can be sent again, so no final waits for a place to begin from.
        asked_for = asked_for or not self._intake.format.has_constant_rate
        repeated = self._watermark.repeated
        stored = self._watermark.on_final(result, capabilities, sent_ms=self._sent_ms, asked_for=asked_for)
        if self._watermark.repeated > repeated:
            metrics.REPEATED_FINALS_TOTAL.inc()
            return
        if stored is not None:
            self._store(stored, now_s)
        self._show_carried()

    def _store(self, final: FinalResult, now_s: float, *, promoted: bool = False) -> None:
        self.interim = None
        if not self._wants_words:
            final = dataclasses.replace(final, words=())
        self._commits.add(final, lag_ms=self._watch.age_ms(final.end_ms, now_s), promoted=promoted)

    def _show_carried(self) -> None:
        """Words that wait for their place in a segment are seen meanwhile."""
        carried = self._watermark.carried
        if carried is None:
            self.interim = None
            return
        fields = {field.name for field in dataclasses.fields(InterimResult)} - {"stability"}
        self.interim = InterimResult(**{name: getattr(carried, name) for name in fields})
        if self._wants_interims:
            self._emit(Interim(self._commits.next_segment, self.interim))
