"""One recording from open to closed. Knows neither WebSocket nor protobuf.

Audio: feed -> Intake -> Listener -> recogniser. Words: recogniser -> Hearing -> Commits -> store, and only then
-> emit. A recogniser that is lost is the listener's matter; a client that is lost leaves a session that another
connection, here or elsewhere, may take up again at the settled position.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Protocol

import structlog

from transcription import metrics
from transcription.engine import end as ends
from transcription.engine.acks import Acks
from transcription.engine.commits import Commits, build_segment
from transcription.engine.end import End
from transcription.engine.hearing import Hearing
from transcription.engine.intake import Intake
from transcription.engine.latency import Latency
from transcription.engine.listener import Listener
from transcription.engine.recogniser_watch import RecogniserWatch
from transcription.engine.recognition import Recogniser, RecognitionStream
from transcription.engine.resuming import build_resumed
from transcription.engine.timeouts import Expired, Timeouts
from transcription.engine.utterance_ends import UtteranceEnds
from transcription.engine.watermark import Watermark
from transcription.engine.write_tick import Writer, write_at_once
from transcription.errors import (
    AtCapacity,
    InternalError,
    RecogniserSilent,
    StorageUnavailable,
    TooFast,
    TranscriptionError,
)
from transcription.events import AudioWarning, Event, Expiring, Failed, Final, Started, Stopped
from transcription.recording.tape import Tape
from transcription.results import FinalResult, InterimResult
from transcription.storage.coverage import gap_spans
from transcription.storage.steps import Ending, NewSession, SessionHandle, Step, Taken
from transcription.timeline.chronicle import Chronicle
from transcription.waiting import cancelled, ended_in_time, first_of

log = structlog.get_logger(__name__)

ROOM_WAIT_S = 10.0
UNTOLD_ROOM_WAIT_S = 60.0

Activity = Literal["opening", "live", "slow", "reconnecting", "paused", "finishing"]


class SessionStore(Protocol):
    """What a live transcription needs of the database; every method is idempotent."""

    async def create(self, new: NewSession) -> SessionHandle: ...
    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None: ...
    async def commit(self, step: Step) -> None: ...
    async def finish(self, handle: SessionHandle, ending: Ending) -> None: ...


class LiveTranscription:
    """Owns the listener, the commits and the row of one session while it is live.

    taken: the session as it was found, where this connection takes one up again. resume_token: what the client
    of a new session is given for that. wake, chunk_ms: as for Listener. tape: takes the audio along, where it is kept.
    """

    __slots__ = (
        "_abandoned",
        "_acks",
        "_clock",
        "_commits",
        "_early_end",
        "_emit",
        "_ending",
        "_flushed_bytes",
        "_handed_over",
        "_handle",
        "_hearing",
        "_is_open",
        "_listener",
        "_resume_token",
        "_resume_window_s",
        "_room_made",
        "_store",
        "_tails",
        "_taken",
        "_tape",
        "_timeouts",
        "_told_recording_stopped",
        "_utterance_ends",
        "_watch",
        "chronicle",
        "closing_error",
        "config",
        "intake",
        "latency",
        "new",
        "started_at",
    )

    def __init__(
        self,
        new: NewSession,
        *,
        recogniser: Recogniser,
        store: SessionStore,
        emit: Callable[[Event], None],
        session_timeout_s: float,
        idle_timeout_s: float,
        resume_window_s: float,
        taken: Taken | None = None,
        resume_token: str = "",
        wake: Callable[[Writer], None] = write_at_once,
        chunk_ms: int = 0,
        tape: Tape | None = None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.new = new
        self.config = new.applied
        self.intake = self._make_intake(taken)
        self._tape = self.intake.tape = tape
        self._told_recording_stopped = False
        self.latency = Latency()
        age_s = taken.age_s if taken is not None else 0.0
        self.started_at = datetime.now(UTC) - timedelta(seconds=age_s)
        # What the client was told last, if the session did not end as it wanted.
        self.closing_error: TranscriptionError | None = None
        self._taken = taken
        self._resume_token = resume_token
        self._resume_window_s = resume_window_s
        self._store = store
        # Words and acknowledgements, which come with every message, go past it.
        self.chronicle = Chronicle(emit, audio_ms=_position_of(self.intake), clock=clock)
        self._emit = self.chronicle.tell
        self._clock = clock
        self._timeouts = Timeouts(
            session_timeout_s=max(0.0, session_timeout_s - age_s), idle_timeout_s=idle_timeout_s, now_s=clock()
        )
        self._watch = RecogniserWatch(self.intake, interims=self.config.enable_interim_results, now_s=clock())
        # The parts tell each other, never this whole: what refers to itself in a circle stays in memory until the
        # collector finds it, replay buffer and all.
        self._room_made = asyncio.Event()
        self._acks = Acks(self.intake, emit=emit, tape=tape)
        self._utterance_ends = UtteranceEnds(self.config.audio_format, emit=emit)
        self._commits = Commits(
            store,
            emit=emit,
            on_committed=_committed(self._acks, self._utterance_ends),
            latency=self.latency,
            clock=clock,
        )
        self._hearing = Hearing(
            intake=self.intake,
            commits=self._commits,
            watch=self._watch,
            watermark=Watermark(self.intake.format.bytes_to_ms(self.intake.floor)),
            latency=self.latency,
            config=self.config,
            utterance_ends=self._utterance_ends,
            emit=emit,
            on_settled=self._room_made.set,
        )
        self._listener = Listener(
            recogniser,
            self.intake,
            self._hearing,
            self._watch,
            emit=self.chronicle.tell,
            chronicle=self.chronicle,
            on_sent=_nothing if self.intake.format.has_constant_rate else self._room_made.set,
            wake=wake,
            chunk_ms=chunk_ms,
            clock=clock,
            jitter=jitter,
        )
        self._handle: SessionHandle | None = None
        self._ending: asyncio.Future[End] | None = None
        self._early_end: End | None = None
        self._abandoned: End | None = None
        self._handed_over = asyncio.Event()
        self._is_open = False
        self._flushed_bytes = 0
        self._tails: tuple[tuple[FinalResult, bool], ...] = ()

    def _make_intake(self, taken: Taken | None) -> Intake:
        if taken is None:
            return Intake(self.config.audio_format)
        return Intake(
            self.config.audio_format,
            start=taken.audio_offset,
            settled=taken.handle.committed_bytes,
            header_bytes=taken.header_bytes,
        )

    # What the connection calls

    @property
    def public_id(self) -> str:
        return self.new.public_id

    @property
    def handle(self) -> SessionHandle | None:
        """The right to write the session; None before it has its row."""
        return self._handle

    @property
    def is_open(self) -> bool:
        """Whether the client was told that it may speak."""
        return self._is_open

    @property
    def is_ending(self) -> bool:
        return self._early_end is not None

    @property
    def activity(self) -> Activity:
        """What the session is doing, in a word."""
        if self.is_ending:
            return "finishing"
        if not self._is_open:
            return "opening"
        match self._listener.state:
            case "reconnecting":
                return "reconnecting"
            case "parked":
                return "paused"
        return "slow" if self._watch.is_lagging else "live"

    @property
    def interim(self) -> InterimResult | None:
        """The utterance that is open."""
        return self._hearing.interim

    @property
    def interim_lag_ms(self) -> int | None:
        """How long after its audio the newest interim came; None before the first one."""
        return self._hearing.interim_lag_ms

    @property
    def segments(self) -> int:
        """How many finals are stored."""
        return self._commits.stored_segments

    @property
    def last_final(self) -> FinalResult | None:
        return self._commits.last_final

    @property
    def next_segment(self) -> int:
        """The index that the open utterance's final will have."""
        return self._commits.next_segment

    def feed(self, chunk: bytes) -> None:
        """Take audio. Raises BadAudio, or TooFast far past the credit; nothing of the chunk is kept then."""
        if not chunk or self.is_ending:
            return
        now_s = self._clock()
        if self._hearing.first_audio_at_s is None:
            self._hearing.first_audio_at_s = now_s
        self._timeouts.heard_audio(now_s)
        for code in self.intake.feed(chunk, now_s):
            self._emit(AudioWarning(code))
        self._listener.audio_came(now_s)
        if self._is_open:
            self._acks.on_audio(now_s)

    def has_room_for(self, size_bytes: int) -> bool:
        """Whether the client is within its credit with so much more audio."""
        return self.intake.has_room_for(size_bytes)

    async def wait_for_room(self, size_bytes: int, *, has_credit: bool = True) -> None:
        """Wait while the client is past its credit. Raises TooFast if that takes over ROOM_WAIT_S.

        has_credit: whether the client is told its credit. One that is not cannot know, and is not warned; it waits for
        as long as a recogniser may be away.
        """
        if self.intake.has_room_for(size_bytes) or self.is_ending:
            return
        if has_credit:
            self._emit(AudioWarning("too_fast"))
        try:
            async with asyncio.timeout(ROOM_WAIT_S if has_credit else UNTOLD_ROOM_WAIT_S):
                while not self.intake.has_room_for(size_bytes) and not self.is_ending:
                    # It is not idle: what it sends waits to be read.
                    self._timeouts.heard_audio(self._clock())
                    self._room_made.clear()
                    await self._room_made.wait()
        except TimeoutError:
            raise TooFast("Audio comes faster than it can be recognised; respect audio_ack.limit.") from None

    def keep_alive(self) -> None:
        self._timeouts.heard_keepalive(self._clock())

    def finalize(self) -> None:
        """End the current utterance with the audio received so far; UtteranceEnded is told once all of it is."""
        self._utterance_ends.ask(self.intake.received, self._clock())
        self._listener.finalize()

    def end(self, end: End) -> None:
        """End the session; the first reason counts."""
        if self._early_end is not None:
            return
        self._early_end = end
        self._room_made.set()
        if end.expires_as is not None and self._is_open:
            self._emit(Expiring(round(end.flush_s * 1000), end.expires_as, resume_elsewhere=self.is_resumable))
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(end)

    def abandon(self, end: End) -> None:
        """End the session like this, also where it is ending already: its last words are waited for no longer."""
        self._abandoned = self._abandoned or end
        self.end(end)
        self._handed_over.set()

    # What the process calls

    def hand_over(self) -> None:
        """Wait for no more last words: what is not settled stays with the client, which goes on elsewhere."""
        self._handed_over.set()

    def tick(self) -> None:
        """Everything that depends on time passing. Called a few times a second."""
        now_s = self._clock()
        if self._tape is not None:
            self._record(self._tape)
        if not self.is_open or self.is_ending:
            return
        for code in self.intake.measure(now_s):
            self._emit(AudioWarning(code))
        self._check_timeouts(now_s)
        self._listener.tick(now_s)
        self._acks.tick(now_s)
        self._commits.tick(now_s)
        if self._utterance_ends.is_waiting:
            self._tick_utterance_ends(now_s)

    def _record(self, tape: Tape) -> None:
        self.intake.record()
        if tape.problem is not None and not self._told_recording_stopped:
            self._told_recording_stopped = True
            metrics.RECORDING_ERRORS_TOTAL.labels(reason=tape.problem).inc()
            self._emit(AudioWarning("recording_stopped"))

    def _tick_utterance_ends(self, now_s: float) -> None:
        is_stored = not self._commits.has_pending
        if is_stored:
            self._utterance_ends.told(self.intake.floor)
        is_quiet = is_stored and not self._hearing.is_open and not self.intake.has_unsent
        self._utterance_ends.tick(now_s, is_quiet=is_quiet)

    @property
    def audio_ms(self) -> int:
        """Audio received; where bytes say nothing about time, audio the recogniser has heard."""
        return self.intake.received_ms if self.config.audio_format.has_constant_rate else self._watch.heard_ms

    @property
    def heard_ms(self) -> int:
        """Audio that the recogniser has answered."""
        return self._watch.heard_ms

    @property
    def has_untold_finals(self) -> bool:
        """Whether finals are on their way into the store."""
        return self._commits.has_pending

    @property
    def backlog_ms(self) -> int:
        """Audio with something to hear in it that the recogniser has not answered yet."""
        return self._watch.backlog_ms

    @property
    def is_resumable(self) -> bool:
        """Whether another connection may take the session up where its audio is settled."""
        return self._is_open and self.config.audio_format.has_constant_rate and self._resume_window_s > 0

    # The life of a session

    async def run(self) -> None:
        """Begin, transcribe, finish. Tells the client of every error; raises only what is a bug."""
        try:
            await self._run()
        finally:
            if self._tape is not None:
                self.intake.record()
                self._tape.close()

    async def _run(self) -> None:
        self._ending = asyncio.get_running_loop().create_future()
        if self._early_end is not None:
            self._ending.set_result(self._early_end)
        try:
            await self._begin()
        except TranscriptionError as error:
            self.end(ends.failure(error, has_started=False))
            self.closing_error = error
            self._emit(Failed(error))
            return
        outcome = ends.failure(InternalError("Something went wrong on our side."), has_started=True)
        try:
            outcome = await self._transcribe()
        finally:
            self.end(outcome)
            self._listener.cancel()
            await self._finish(outcome)

    async def _begin(self) -> None:
        """Have a row, and where the session is taken up again tell its client what of it is there."""
        if self._taken is None:
            self._handle = await self._create()
            self._begin_with(self._handle)
            return
        self._handle = self._taken.handle
        self._begin_with(self._handle)
        self._acks.committed_bytes = self._handle.committed_bytes
        self._listener.begin_parked(self.config)
        self._is_open = True
        self._emit(build_resumed(self.public_id, self.config, self._taken, self.intake))
        self._acks.tell(self._clock())

    def _begin_with(self, handle: SessionHandle) -> None:
        self._commits.begin(handle)
        if self._tape is not None:
            self._tape.begin(handle)

    async def _create(self) -> SessionHandle:
        try:
            return await self._store.create(self.new)
        except StorageUnavailable:
            raise AtCapacity("The database does not answer; please try again.", reason="storage_unavailable") from None

    async def _transcribe(self) -> End:
        if self._taken is None:
            try:
                if not await self._open():
                    return self._ending_now()
            except TranscriptionError as error:
                return ends.failure(error, has_started=False)
        listening = asyncio.create_task(self._listener.run())
        committing = asyncio.create_task(self._commits.run())
        try:
            return await self._work(listening, committing)
        finally:
            for task in (listening, committing):
                task.cancel()
            await asyncio.gather(listening, committing, return_exceptions=True)

    async def _work(self, listening: asyncio.Task[None], committing: asyncio.Task[None]) -> End:
        assert self._ending is not None  # noqa: S101 - set at the start of run()
        try:
            await first_of(self._ending, listening, committing)
            end = self._ending.result()
            await self._flush(end, listening, committing)
        except TranscriptionError as error:
            end = self._abandoned or ends.failure(error, has_started=True)
        self.end(end)
        if end.stopped is None:
            self._tails = self._hearing.take_tail(self._listener.last_interim())
        self._commits.finish()
        try:
            await committing
        except TranscriptionError as error:
            # What is not stored stays with the client, the words after it too.
            self._tails = ()
            return ends.failure(error, has_started=True)
        return end

    def _ending_now(self) -> End:
        assert self._ending is not None  # noqa: S101 - set at the start of run()
        return self._ending.result()

    # Opening

    async def _open(self) -> bool:
        """Open the recogniser for a new session. False if the session ended meanwhile."""
        assert self._ending is not None  # noqa: S101 - set at the start of run()
        opening = asyncio.create_task(self._listener.open(self.config))
        try:
            waiting: set[asyncio.Future[Any]] = {opening, self._ending}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done() and self._ending_now().needs_recogniser:
                await asyncio.wait({opening})
            if not opening.done():
                return False
            stream = opening.result()
        finally:
            await cancelled(opening)
        await self._announce_open(stream)
        return True

    async def _announce_open(self, stream: RecognitionStream) -> None:
        assert self._handle is not None  # noqa: S101 - created before opening
        self.config = stream.config
        await self._store.opened(
            self._handle,
            recogniser=stream.recogniser,
            model=stream.model,
            applied=self.config.model_dump(mode="json"),
        )
        self._is_open = True
        self.chronicle.opens(stream.recogniser, stream.model)
        token = self._resume_token if self.is_resumable else None
        self._emit(Started(self.public_id, self.config, token, model=stream.model))
        self._acks.tell(self._clock())

    # Time passing

    def _check_timeouts(self, now_s: float) -> None:
        match self._timeouts.check(now_s):
            case None:
                return
            case Expired(reason="session_timeout"):
                self.end(ends.session_timeout())
            case Expired():
                self.end(ends.idle_timeout())
            case warning:
                self._emit(Expiring(warning.in_ms, warning.reason))

    # Ending

    async def _flush(self, end: End, listening: asyncio.Task[None], committing: asyncio.Task[None]) -> None:
        """Send what is left, half-close, wait for the last words. Raises if the recogniser fails meanwhile."""
        if not end.flush_s:
            return
        for code in self.intake.finish(self._clock()):
            self._emit(AudioWarning(code))
        if end.tail:
            self._hearing.keep_tails()
        self._listener.finish()
        if not await self._last_words(end, asyncio.ensure_future(first_of(listening, committing))):
            if not end.tail:
                raise RecogniserSilent("The recogniser did not finish the last words in time.")
            log.warning("flush_timed_out", session_id=self.public_id, flush_s=end.flush_s)
        elif end.tail:
            self._flushed_bytes = self.config.audio_format.align(self.intake.sent)
        else:
            self._hearing.on_flushed(self._listener.last_interim(), self._clock())

    async def _last_words(self, end: End, ended: asyncio.Future[None]) -> bool:
        """Wait until the recogniser ended the stream; False if it answers nothing for flush_s, or takes too long.

        A client may be a minute ahead when it stops, so an engine that goes on answering is given time.
        """
        handing_over = asyncio.create_task(self._hand_over_when_asked())
        try:
            return await ended_in_time(
                asyncio.ensure_future(first_of(ended, handing_over)),
                lambda: self._watch.answers,
                silent_s=end.flush_s if end.tail else self._watch.patience_s(end.flush_s),
                at_most_s=end.max_flush_s,
            )
        finally:
            await cancelled(ended)
            await cancelled(handing_over)

    async def _hand_over_when_asked(self) -> None:
        await self._handed_over.wait()
        raise ends.being_updated()

    async def _finish(self, end: End) -> None:
        assert self._handle is not None  # noqa: S101 - only sessions with a row are finished
        ending = self._build_ending(end)
        error = end.error
        try:
            await self._store.finish(self._handle, ending)
        except TranscriptionError as finish_error:
            error = error or finish_error
        else:
            self._tell_tails(ending)
        self._count(ending)
        if end.stopped is not None and (error is None or error is end.error):
            self._emit(
                Stopped(
                    end.stopped,
                    self.audio_ms,
                    self.intake.received_on_wire,
                    self._acks.settled,
                    self.segments,
                    self._gaps_ms(),
                )
            )
        self.closing_error = error
        if error is not None:
            self._emit(Failed(error, self._acks.safe))

    def _build_ending(self, end: End) -> Ending:
        is_over = end.state == "detached" and not self.is_resumable
        state = ("interrupted" if self._is_open else "failed") if is_over else end.state
        received = self.intake.received
        if state != "completed" and self._taken is not None:
            # The client may have gone again before it had sent again what was here already.
            received = max(received, self._taken.audio_bytes)
        constant_rate = self.config.audio_format.has_constant_rate
        return Ending(
            state=state,
            reason=end.reason,
            message=end.error.message if end.error else "",
            audio_bytes=received,
            audio_ms=self.config.audio_format.bytes_to_ms(received) if constant_rate else self.audio_ms,
            first_interim_ms=self.latency.first_interim_ms,
            final_lag_p50_ms=self.latency.final_lag_ms(0.5),
            final_lag_p95_ms=self.latency.final_lag_ms(0.95),
            tails=tuple(
                build_segment(index, final, tail=True, promoted=promoted)
                for index, (final, promoted) in enumerate(self._tails, start=self._commits.next_segment)
            ),
            flushed_bytes=self._flushed_bytes,
            resume_within_s=self._resume_within_s() if state == "detached" else 0.0,
        )

    def _resume_within_s(self) -> float:
        return min(self._resume_window_s, self._timeouts.remaining_s(self._clock()))

    def _tell_tails(self, ending: Ending) -> None:
        for segment, (final, _promoted) in zip(ending.tails, self._tails, strict=True):
            self._emit(Final(segment.index, final, durable=True, tail=True))

    def _gaps_ms(self) -> tuple[tuple[int, int], ...]:
        """Audio that the client no longer had when it came back, in ms."""
        gaps = self._taken.gaps if self._taken is not None else ()
        return tuple((gap.start_ms, gap.end_ms) for gap in gap_spans(gaps, self.config.audio_format))

    def _count(self, ending: Ending) -> None:
        metrics.SESSIONS_TOTAL.labels(outcome=ending.state).inc()
        metrics.AUDIO_SECONDS_TOTAL.labels(language=self.config.language).inc(self.audio_ms / 1000)
        log.info(
            "session_ended",
            session_id=self.public_id,
            state=ending.state,
            reason=ending.reason,
            audio_ms=ending.audio_ms,
            segments=self.segments,
        )


def _committed(acks: Acks, utterance_ends: UtteranceEnds) -> Callable[[int, float], None]:
    def committed(committed_bytes: int, now_s: float) -> None:
        acks.committed(committed_bytes, now_s)
        utterance_ends.told(committed_bytes)

    return committed


def _position_of(intake: Intake) -> Callable[[], int | None]:
    return lambda: intake.received_ms if intake.format.has_constant_rate else None


def _nothing() -> None:
    """Where bytes tell the time audio is let go of when it is settled, not when it is sent."""
