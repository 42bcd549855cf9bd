"""One recording from open to closed. Knows neither WebSocket nor protobuf.

Audio: feed -> Intake -> _send_audio -> recogniser. Words: recogniser -> _read_results -> Commits -> store, and
only then -> emit. The reader never waits for the database: results that are not read are lost when the
recogniser's connection breaks.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from transcription import end as ends
from transcription import metrics
from transcription.acks import Acks
from transcription.commits import Commits
from transcription.end import End
from transcription.errors import (
    AtCapacity,
    InternalError,
    RecogniserFailed,
    RecogniserSilent,
    StorageUnavailable,
    TooFast,
    TranscriptionError,
)
from transcription.events import (
    AudioWarning,
    Event,
    Expiring,
    Failed,
    Interim,
    RecogniserStatus,
    Started,
    Stopped,
)
from transcription.intake import Intake
from transcription.latency import Latency
from transcription.opening import open_with_retries
from transcription.recogniser_watch import RecogniserWatch
from transcription.recognition import Recogniser, RecognitionStream
from transcription.results import FinalResult, InterimResult, Progress
from transcription.steps import Ending, NewSession, SessionHandle, Step
from transcription.timeouts import Expired, Timeouts
from transcription.waiting import cancelled, first_of
from transcription.watermark import Watermark

log = structlog.get_logger(__name__)

ROOM_WAIT_S = 10.0
# As long as the audio that may be held takes to be heard in real time.
MAX_FLUSH_S = 90.0


class SessionStore(Protocol):
    """What a live transcription needs of the database; every method is idempotent."""

    async def create(self, new: NewSession) -> SessionHandle: ...
    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None: ...
    async def commit(self, step: Step) -> None: ...
    async def finish(self, handle: SessionHandle, ending: Ending) -> None: ...


class LiveTranscription:
    """Owns the recogniser's stream, the tasks and the row of one session while it is live."""

    def __init__(
        self,
        new: NewSession,
        *,
        recogniser: Recogniser,
        store: SessionStore,
        emit: Callable[[Event], None],
        session_timeout_s: float,
        idle_timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.new = new
        self.config = new.applied
        self.intake = Intake(self.config.audio_format)
        self.latency = Latency()
        self.interim: InterimResult | None = None
        self.started_at = datetime.now(UTC)
        # What the client was told last, if the session did not end as it wanted.
        self.closing_error: TranscriptionError | None = None
        self._recogniser = recogniser
        self._store = store
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._timeouts = Timeouts(session_timeout_s=session_timeout_s, idle_timeout_s=idle_timeout_s, now_s=clock())
        self._watermark = Watermark()
        self._watch = RecogniserWatch(self.intake, interims=self.config.enable_interim_results, now_s=clock())
        self._commits = Commits(
            store,
            emit=emit,
            on_committed=lambda: self._acks.tell(clock()),
            latency=self.latency,
            clock=clock,
        )
        self._acks = Acks(self.intake, committed_bytes=lambda: self._commits.committed_bytes, emit=emit)
        self._handle: SessionHandle | None = None
        self._stream: RecognitionStream | None = None
        self._ending: asyncio.Future[End] | None = None
        self._early_end: End | None = None
        self._send_wanted = asyncio.Event()
        self._room_made = asyncio.Event()
        self._is_open = False
        self._finalize_wanted = False
        self._no_more_audio = False
        self._half_closed = False
        self._first_audio_at_s: float | None = None

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
        """Whether the client was told that the recogniser is open."""
        return self._is_open

    @property
    def is_ending(self) -> bool:
        return self._early_end is not None

    @property
    def segments(self) -> int:
        """How many finals are stored."""
        return self._commits.stored_segments

    @property
    def last_final(self) -> FinalResult | None:
        return self._commits.last_final

    @property
    def recent_finals(self) -> deque[tuple[int, FinalResult]]:
        """The finals stored last, at most RECENT_FINALS, with their indexes."""
        return self._commits.recent_finals

    def feed(self, chunk: bytes) -> None:
        """Take audio. Raises BadAudio, or TooFast far past the credit; nothing of the chunk is kept then."""
        if not chunk or self.is_ending:
            return
        now_s = self._clock()
        if self._first_audio_at_s is None:
            self._first_audio_at_s = now_s
        self._timeouts.heard_audio(now_s)
        for code in self.intake.feed(chunk, now_s):
            self._emit(AudioWarning(code))
        self._send_wanted.set()
        if self._is_open:
            self._acks.on_audio(now_s)

    async def wait_for_room(self, size_bytes: int) -> None:
        """Wait while the client is past its credit. Raises TooFast if that takes over ROOM_WAIT_S."""
        if self.intake.has_room_for(size_bytes) or self.is_ending:
            return
        self._emit(AudioWarning("too_fast"))
        try:
            async with asyncio.timeout(ROOM_WAIT_S):
                while not self.intake.has_room_for(size_bytes) and not self.is_ending:
                    self._room_made.clear()
                    await self._room_made.wait()
        except TimeoutError:
            raise TooFast("Audio comes faster than it can be recognised; respect audio_ack.limit.") from None

    def keep_alive(self) -> None:
        self._timeouts.heard_keepalive(self._clock())

    def finalize(self) -> None:
        """End the current utterance with the audio received so far."""
        self._finalize_wanted = True
        self._send_wanted.set()

    def end(self, end: End) -> None:
        """End the session; the first reason counts."""
        if self._early_end is not None:
            return
        self._early_end = end
        self._room_made.set()
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(end)

    # What the process calls

    def tick(self) -> None:
        """Everything that depends on time passing. Called a few times a second."""
        now_s = self._clock()
        if not self.is_open or self.is_ending:
            return
        for code in self.intake.measure(now_s):
            self._emit(AudioWarning(code))
        # A recogniser that is mute in silence settles nothing, and its client must not run out of credit.
        self._settle()
        self._check_timeouts(now_s)
        self._check_recogniser(now_s)
        self._acks.tick(now_s)
        self._commits.tick(now_s)

    @property
    def audio_ms(self) -> int:
        """Audio received; where bytes say nothing about time, audio the recogniser has heard."""
        return self.intake.received_ms if self.config.audio_format.has_constant_rate else self._watch.heard_ms

    @property
    def backlog_ms(self) -> int:
        """Audio with something to hear in it that the recogniser has not answered yet."""
        return self._watch.backlog_ms

    # The life of a session

    async def run(self) -> None:
        """Create, open, transcribe, finish. Tells the client of every error; raises only what is a bug."""
        self._ending = asyncio.get_running_loop().create_future()
        if self._early_end is not None:
            self._ending.set_result(self._early_end)
        try:
            await self._create()
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
            if self._stream is not None:
                self._stream.cancel()
            await self._finish(outcome)

    async def _create(self) -> None:
        try:
            self._handle = await self._store.create(self.new)
        except StorageUnavailable:
            raise AtCapacity("The database does not answer; please try again.", reason="storage_unavailable") from None
        self._commits.begin(self._handle)

    async def _transcribe(self) -> End:
        try:
            stream = await self._open()
        except TranscriptionError as error:
            return ends.failure(error, has_started=False)
        if stream is None:
            return self._ending_now()
        tasks = [
            asyncio.create_task(self._send_audio(stream)),
            asyncio.create_task(self._read_results(stream)),
            asyncio.create_task(self._commits.run()),
        ]
        try:
            return await self._work(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, sender: asyncio.Task[None], reader: asyncio.Task[None], committer: asyncio.Task[None]) -> End:
        assert self._ending is not None  # noqa: S101 - set at the start of run()
        try:
            await first_of(self._ending, sender, reader, committer)
            end = self._ending.result()
            await self._flush(end, sender, reader, committer)
        except TranscriptionError as error:
            end = ends.failure(error, has_started=True)
        self.end(end)
        self._promote_interim(end)
        self._commits.finish()
        try:
            await committer
        except TranscriptionError as error:
            return ends.failure(error, has_started=True)
        return end

    def _ending_now(self) -> End:
        assert self._ending is not None  # noqa: S101 - set at the start of run()
        return self._ending.result()

    # Opening

    async def _open(self) -> RecognitionStream | None:
        """Open the recogniser, trying again for OPEN_TOTAL_S. None if the session ended meanwhile."""
        assert self._ending is not None  # noqa: S101 - set at the start of run()
        opening = asyncio.create_task(self._open_stream())
        try:
            waiting: set[asyncio.Future[Any]] = {opening, self._ending}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done() and self._ending_now().needs_recogniser:
                await asyncio.wait({opening})
            if not opening.done():
                return None
            stream = opening.result()
        finally:
            await cancelled(opening)
        await self._announce_open(stream)
        return stream

    async def _open_stream(self) -> RecognitionStream:
        # Noted in the task that opens: if it is cancelled just then, run() still cancels the stream.
        self._stream = await open_with_retries(
            self._recogniser,
            self.config,
            on_retry=lambda: self._emit(RecogniserStatus("reconnecting", 0)),
            clock=self._clock,
            jitter=self._jitter,
        )
        return self._stream

    async def _announce_open(self, stream: RecognitionStream) -> None:
        assert self._handle is not None  # noqa: S101 - created before opening
        self.config = stream.config
        await self._store.opened(
            self._handle,
            recogniser=stream.recogniser,
            model=stream.model,
            applied=self.config.model_dump(mode="json"),
        )
        self._watch.opened(self._clock())
        self._is_open = True
        self._emit(Started(self.public_id, self.config))
        self._acks.tell(self._clock())

    # Audio out

    async def _send_audio(self, stream: RecognitionStream) -> None:
        while True:
            while self.intake.has_unsent:
                await stream.send(self.intake.take_chunk())
                if not self.config.audio_format.has_constant_rate:
                    self._room_made.set()
            if self._finalize_wanted:
                self._finalize_wanted = False
                await stream.end_utterance()
                continue
            if self._no_more_audio:
                self._half_closed = True
                await stream.half_close()
                return
            self._send_wanted.clear()
            await self._send_wanted.wait()

    # Words in

    async def _read_results(self, stream: RecognitionStream) -> None:
        async for result in stream.results():
            now_s = self._clock()
            self._watch.answered(now_s)
            match result:
                case InterimResult():
                    self._on_interim(result, now_s)
                case FinalResult():
                    tail = self._is_cutting_off
                    if not tail:  # what was cut off is not settled
                        self._watermark.on_final(result, stream.capabilities)
                    self._on_final(result, now_s, tail=tail)
                case Progress():
                    self._watermark.on_progress(result, stream.capabilities)
                    self._watch.heard(result.audio_processed_ms)
            self._settle()
        if not self._half_closed:
            raise RecogniserFailed("The recogniser ended the stream.", reason="recogniser_ended")

    @property
    def _is_cutting_off(self) -> bool:
        return self._half_closed and self._early_end is not None and self._early_end.tail

    def _on_interim(self, result: InterimResult, now_s: float) -> None:
        self.interim = result
        self._watermark.on_interim(result)
        self._watch.heard(result.audio_processed_ms or result.end_ms)
        if self.latency.first_interim_ms is None and self._first_audio_at_s is not None:
            self.latency.first_interim_ms = round((now_s - self._first_audio_at_s) * 1000)
            metrics.FIRST_INTERIM_SECONDS.observe(now_s - self._first_audio_at_s)
        self.latency.last_interim_ms = self._watch.age_ms(result.audio_processed_ms or result.end_ms, now_s)
        if self.config.enable_interim_results:
            self._emit(Interim(self._commits.next_segment, result))

    def _on_final(self, result: FinalResult, now_s: float, *, tail: bool = False, promoted: bool = False) -> None:
        self.interim = None
        self._watch.heard(result.audio_processed_ms or result.end_ms)
        lag_ms = self._watch.age_ms(result.end_ms, now_s)
        self._commits.add(result, lag_ms=lag_ms, tail=tail, promoted=promoted)

    def _promote_interim(self, end: End) -> None:
        """A stream that ended without a final for its last interim: those words are the best there will be."""
        interim = self.interim
        if interim is None or not interim.text or not self._commits.has_room:
            return
        final = FinalResult(
            text=interim.text,
            start_ms=interim.start_ms,
            end_ms=interim.end_ms,
            words=interim.words,
            alternatives=interim.alternatives,
            channel=interim.channel,
            language=interim.language,
            audio_processed_ms=interim.audio_processed_ms,
        )
        self._on_final(final, self._clock(), tail=end.stopped is None, promoted=True)

    # What is settled

    def _settled_bytes(self) -> int:
        audio_format = self.config.audio_format
        return min(audio_format.ms_to_bytes(self._watermark.settled_ms), audio_format.align(self.intake.sent))

    def _settle(self) -> None:
        """Let go of audio that is settled. Until finals are committed the client keeps it too: safe waits."""
        settled = self._settled_bytes()
        self.intake.settle(settled)
        self._commits.settle(settled)
        self._room_made.set()

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

    def _check_recogniser(self, now_s: float) -> None:
        try:
            status = self._watch.check(now_s)
        except RecogniserSilent as error:
            self.end(ends.failure(error, has_started=True))
            return
        if status is not None:
            self._emit(status)

    # Ending

    async def _flush(
        self,
        end: End,
        sender: asyncio.Task[None],
        reader: asyncio.Task[None],
        committer: asyncio.Task[None],
    ) -> None:
        """Send what is left, half-close, wait for the last words. Raises if the recogniser fails meanwhile."""
        if not end.flush_s:
            return
        for code in self.intake.finish(self._clock()):
            self._emit(AudioWarning(code))
        self._no_more_audio = True
        self._send_wanted.set()
        if not await self._last_words(end.flush_s, asyncio.ensure_future(first_of(reader, sender, committer))):
            if not end.tail:
                raise RecogniserSilent("The recogniser did not finish the last words in time.")
            log.warning("flush_timed_out", session_id=self.public_id, flush_s=end.flush_s)
            return
        if not end.tail:
            self._watermark.on_flushed(self.config.audio_format.bytes_to_ms(self.intake.sent))
            self._watch.heard(self._watermark.settled_ms)
            self._settle()

    async def _last_words(self, patience_s: float, ended: asyncio.Future[None]) -> bool:
        """Wait until the recogniser ended the stream; False if it answers nothing for patience_s.

        A client may be a minute ahead when it stops, so an engine that goes on answering is given time.
        """
        loop = asyncio.get_running_loop()
        give_up_at_s = loop.time() + MAX_FLUSH_S
        try:
            while not ended.done():
                answers = self._watch.answers
                await asyncio.wait({ended}, timeout=patience_s)
                if not ended.done() and (answers == self._watch.answers or loop.time() >= give_up_at_s):
                    return False
            ended.result()
            return True
        finally:
            await cancelled(ended)

    async def _finish(self, end: End) -> None:
        assert self._handle is not None  # noqa: S101 - only sessions with a row are finished
        ending = Ending(
            state=end.state,
            reason=end.reason,
            message=end.error.message if end.error else "",
            audio_bytes=self.intake.received,
            audio_ms=self.audio_ms,
            first_interim_ms=self.latency.first_interim_ms,
            final_lag_p50_ms=self.latency.final_lag_ms(0.5),
            final_lag_p95_ms=self.latency.final_lag_ms(0.95),
        )
        error = end.error
        try:
            await self._store.finish(self._handle, ending)
        except TranscriptionError as finish_error:
            error = error or finish_error
        self._count(end)
        if end.stopped is not None and (error is None or error is end.error):
            self._emit(
                Stopped(
                    end.stopped,
                    self.audio_ms,
                    self.intake.received_on_wire,
                    self._acks.safe,
                    self.segments,
                )
            )
        self.closing_error = error
        if error is not None:
            self._emit(Failed(error, self._acks.safe))

    def _count(self, end: End) -> None:
        metrics.SESSIONS_TOTAL.labels(outcome=end.state).inc()
        metrics.AUDIO_SECONDS_TOTAL.labels(language=self.config.language).inc(self.audio_ms / 1000)
        log.info(
            "session_ended",
            session_id=self.public_id,
            state=end.state,
            reason=end.reason,
            audio_ms=self.audio_ms,
            segments=self.segments,
        )
