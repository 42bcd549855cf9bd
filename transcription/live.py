"""One recording from open to closed. Knows neither WebSocket nor protobuf.

Audio: feed -> Intake -> _send_audio -> recogniser. Words: recogniser -> _read_results -> _commit_results ->
store, and only then -> emit. The reader never waits for the database: results that are not read are lost
when the recogniser's connection breaks.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import structlog

from transcription import end as ends
from transcription import metrics
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
    Ack,
    AudioWarning,
    Event,
    Expiring,
    Failed,
    Final,
    Interim,
    RecogniserStatus,
    Started,
    Stopped,
)
from transcription.intake import Intake
from transcription.latency import Latency
from transcription.recognition import Recogniser, RecognitionStream
from transcription.results import FinalResult, InterimResult, Progress
from transcription.steps import Ending, NewSegment, NewSession, SessionHandle, Step
from transcription.timeouts import Expired, Timeouts
from transcription.watermark import Watermark

log = structlog.get_logger(__name__)

OPEN_RETRY_DELAYS_S = (0.2, 0.5, 1.0, 2.0, 4.0)
OPEN_TOTAL_S = 10.0
ROOM_WAIT_S = 10.0
ACK_EVERY_S = 1.0
ACK_EVERY_BYTES = 64 * 1024
# Silence alone moves the settled point at most this often: each move is a commit.
SILENCE_COMMIT_EVERY_S = 5.0
DURABLE_PATIENCE_S = 2.0
MAX_PENDING_FINALS = 500
RECENT_FINALS = 64
HANG_S = 8.0
HANG_SPEECH_S = 4.0
LAGGING_S = 5.0
LAG_OVER_S = 2.0
SILENT_RECOGNISER_MESSAGE = "The recogniser takes audio but answers nothing."


class SessionStore(Protocol):
    """What a live transcription needs of the database; every method is idempotent."""

    async def create(self, new: NewSession) -> SessionHandle: ...
    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None: ...
    async def commit(self, step: Step) -> None: ...
    async def finish(self, handle: SessionHandle, ending: Ending) -> None: ...


@dataclass(slots=True)
class _Pending:
    """A final that is not committed yet."""

    segment: int
    result: FinalResult
    tail: bool
    promoted: bool
    lag_ms: int | None


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
        self.segments = 0
        self.last_final: FinalResult | None = None
        self.interim: InterimResult | None = None
        self.started_at = datetime.now(UTC)
        # The finals told last, for those who watch: (segment, final).
        self.recent_finals: deque[tuple[int, FinalResult]] = deque(maxlen=RECENT_FINALS)
        # What the client was told last, if the session did not end as it wanted.
        self.closing_error: TranscriptionError | None = None
        self._recogniser = recogniser
        self._store = store
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._timeouts = Timeouts(session_timeout_s=session_timeout_s, idle_timeout_s=idle_timeout_s, now_s=clock())
        self._watermark = Watermark()
        self._handle: SessionHandle | None = None
        self._stream: RecognitionStream | None = None
        self._ending: asyncio.Future[End] | None = None
        self._early_end: End | None = None
        self._send_wanted = asyncio.Event()
        self._room_made = asyncio.Event()
        self._commit_wanted = asyncio.Event()
        self._pending: list[_Pending] = []
        self._next_segment = 0
        self._is_open = False
        self._finalize_wanted = False
        self._no_more_audio = False
        self._half_closed = False
        self._no_more_results = False
        self._committed = 0
        self._committed_at_s = clock()
        self._acked_at_s = 0.0
        self._acked_received = -1
        self._acked_limit: int | None = None
        self._answered_at_s = clock()
        self._unanswered_speech_s = 0.0
        self._ticked_at_s = clock()
        self._heard_ms = 0
        self._lagging = False
        self._first_audio_at_s: float | None = None

    # What the connection calls

    @property
    def public_id(self) -> str:
        return self.new.public_id

    @property
    def pk(self) -> int | None:
        """The row's primary key, once there is a row."""
        return self._handle.pk if self._handle is not None else None

    @property
    def is_open(self) -> bool:
        """Whether the client was told that the recogniser is open."""
        return self._is_open

    @property
    def is_ending(self) -> bool:
        return self._early_end is not None

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
        if self._is_open and self.intake.received_on_wire - self._acked_received >= ACK_EVERY_BYTES:
            self._acknowledge(now_s)

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
        elapsed_s, self._ticked_at_s = now_s - self._ticked_at_s, now_s
        if not self.is_open or self.is_ending:
            return
        for code in self.intake.measure(now_s):
            self._emit(AudioWarning(code))
        self._check_timeouts(now_s)
        self._check_recogniser(now_s, elapsed_s)
        if now_s - self._acked_at_s >= ACK_EVERY_S and self._has_news_to_acknowledge:
            self._acknowledge(now_s)
        if self._settled_bytes() > self._committed and now_s - self._committed_at_s >= SILENCE_COMMIT_EVERY_S:
            self._commit_wanted.set()

    @property
    def audio_ms(self) -> int:
        """Audio received; where bytes say nothing about time, audio the recogniser has heard."""
        return self.intake.received_ms if self.config.audio_format.has_constant_rate else self._heard_ms

    @property
    def backlog_ms(self) -> int:
        """Audio with something to hear in it that the recogniser has not answered yet."""
        heard_ms = max(self._heard_ms, self._watermark.settled_ms)
        return max(0, self.config.audio_format.bytes_to_ms(self.intake.speech_until) - heard_ms)

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
        self._next_segment = self._handle.next_seq

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
            asyncio.create_task(self._commit_results()),
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
            await _first_of(self._ending, sender, reader, committer)
            end = self._ending.result()
            await self._flush(end, sender, reader, committer)
        except TranscriptionError as error:
            end = ends.failure(error, has_started=True)
        self.end(end)
        self._promote_interim(end)
        self._no_more_results = True
        self._commit_wanted.set()
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
        opening = asyncio.create_task(self._open_with_retries())
        try:
            waiting: set[asyncio.Future[Any]] = {opening, self._ending}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not opening.done() and self._ending_now().needs_recogniser:
                await asyncio.wait({opening})
            if not opening.done():
                return None
            stream = opening.result()
        finally:
            await _cancelled(opening)
        await self._announce_open(stream)
        return stream

    async def _open_with_retries(self) -> RecognitionStream:
        give_up_at_s = self._clock() + OPEN_TOTAL_S
        delays_s = iter(OPEN_RETRY_DELAYS_S)
        while True:
            try:
                stream = await self._recogniser.open(self.config)
                self._stream = stream
                return stream
            except RecogniserFailed as error:
                delay_s = next(delays_s, OPEN_RETRY_DELAYS_S[-1]) * (0.5 + self._jitter())
                if not error.retryable or self._clock() + delay_s > give_up_at_s:
                    raise
            self._emit(RecogniserStatus("reconnecting", 0))
            await asyncio.sleep(delay_s)

    async def _announce_open(self, stream: RecognitionStream) -> None:
        assert self._handle is not None  # noqa: S101 - created before opening
        await self._store.opened(
            self._handle,
            recogniser=stream.recogniser,
            model=stream.model,
            applied=self.config.model_dump(mode="json"),
        )
        self._answered_at_s = self._ticked_at_s = self._clock()
        self._is_open = True
        self._emit(Started(self.public_id, self.config))
        self._acknowledge(self._clock())

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
            self._answered_at_s, self._unanswered_speech_s = now_s, 0.0
            match result:
                case InterimResult():
                    self._on_interim(result, now_s)
                case FinalResult():
                    self._watermark.on_final(result, stream.capabilities)
                    self._on_final(result, now_s, tail=self._is_cutting_off)
                case Progress():
                    self._watermark.on_progress(result, stream.capabilities)
                    self._note_heard(result.audio_processed_ms)
            self._settle()
        if not self._half_closed:
            raise RecogniserFailed("The recogniser ended the stream.", reason="recogniser_ended")

    @property
    def _is_cutting_off(self) -> bool:
        return self._half_closed and self._early_end is not None and self._early_end.tail

    def _on_interim(self, result: InterimResult, now_s: float) -> None:
        self.interim = result
        self._watermark.on_interim(result)
        self._note_heard(result.audio_processed_ms or result.end_ms)
        if self.latency.first_interim_ms is None and self._first_audio_at_s is not None:
            self.latency.first_interim_ms = round((now_s - self._first_audio_at_s) * 1000)
            metrics.FIRST_INTERIM_SECONDS.observe(now_s - self._first_audio_at_s)
        self.latency.last_interim_ms = self._age_ms(result.audio_processed_ms or result.end_ms, now_s)
        if self.config.enable_interim_results:
            self._emit(Interim(self._next_segment, result))

    def _on_final(self, result: FinalResult, now_s: float, *, tail: bool = False, promoted: bool = False) -> None:
        if len(self._pending) >= MAX_PENDING_FINALS:
            raise StorageUnavailable("The database has not stored the transcript for too long.")
        self.interim = None
        self._note_heard(result.audio_processed_ms or result.end_ms)
        lag_ms = self._age_ms(result.end_ms, now_s)
        self._pending.append(_Pending(self._next_segment, result, tail, promoted, lag_ms))
        self._next_segment += 1
        self._commit_wanted.set()

    def _note_heard(self, position_ms: int) -> None:
        self._heard_ms = max(self._heard_ms, position_ms)

    def _age_ms(self, position_ms: int, now_s: float) -> int | None:
        if not self.config.audio_format.has_constant_rate:
            return None
        age_s = self.intake.age_s(self.config.audio_format.ms_to_bytes(position_ms), now_s)
        return None if age_s is None else round(age_s * 1000)

    def _promote_interim(self, end: End) -> None:
        """A stream that ended without a final for its last interim: those words are the best there will be."""
        interim = self.interim
        if interim is None or not interim.text or len(self._pending) >= MAX_PENDING_FINALS:
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

    # Words kept

    async def _commit_results(self) -> None:
        """Store what is pending, then tell the client; ends when no more results come and all are stored."""
        while True:
            await self._commit_wanted.wait()
            self._commit_wanted.clear()
            batch = list(self._pending)
            settled = self._settled_bytes()
            if batch or settled > self._committed:
                await self._commit(batch, settled)
                del self._pending[: len(batch)]
            if self._no_more_results and not self._pending:
                return

    async def _commit(self, batch: list[_Pending], settled: int) -> None:
        assert self._handle is not None  # noqa: S101 - created before any result
        step = Step(
            pk=self._handle.pk,
            epoch=self._handle.epoch,
            expected_seq=batch[0].segment if batch else self._next_segment,
            segments=tuple(_segment(item) for item in batch),
            committed_bytes=settled,
        )
        writing = asyncio.ensure_future(self._store.commit(step))
        try:
            await asyncio.wait({writing}, timeout=DURABLE_PATIENCE_S)
            if not writing.done():
                self._tell(batch, durable=False)
            await writing
        finally:
            await _cancelled(writing)
        self._committed, self._committed_at_s = settled, self._clock()
        self._tell(batch, durable=True)
        self._acknowledge(self._clock())

    def _tell(self, batch: list[_Pending], *, durable: bool) -> None:
        for item in batch:
            self._emit(Final(item.segment, item.result, durable=durable, tail=item.tail))
            if not durable:
                continue
            self.segments, self.last_final = item.segment + 1, item.result
            self.recent_finals.append((item.segment, item.result))
            if item.lag_ms is not None:
                self.latency.add_final_lag(item.lag_ms)
                metrics.FINAL_LAG_SECONDS.observe(item.lag_ms / 1000)

    def _settled_bytes(self) -> int:
        audio_format = self.config.audio_format
        return min(audio_format.ms_to_bytes(self._watermark.settled_ms), audio_format.align(self.intake.sent))

    def _settle(self) -> None:
        """Let go of audio that is settled. Until finals are committed the client keeps it too: safe waits."""
        self.intake.settle(self._settled_bytes())
        self._room_made.set()

    @property
    def _safe_on_wire(self) -> int | None:
        return self.intake.on_wire(self._committed) if self.config.audio_format.has_constant_rate else None

    def _acknowledge(self, now_s: float) -> None:
        received, limit = self.intake.received_on_wire, self.intake.limit_on_wire
        self._acked_at_s, self._acked_received, self._acked_limit = now_s, received, limit
        self._emit(Ack(received, self._safe_on_wire, limit))

    @property
    def _has_news_to_acknowledge(self) -> bool:
        """A client that waits at its limit sends nothing: it must hear that the limit moved."""
        acked = (self._acked_received, self._acked_limit)
        return acked != (self.intake.received_on_wire, self.intake.limit_on_wire)

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

    def _check_recogniser(self, now_s: float, elapsed_s: float) -> None:
        if self.intake.level.has_speech_energy and self.backlog_ms:
            self._unanswered_speech_s += elapsed_s
        if now_s - self._answered_at_s >= HANG_S and self._unanswered_speech_s >= HANG_SPEECH_S:
            error = RecogniserSilent(SILENT_RECOGNISER_MESSAGE)
            self.end(ends.failure(error, has_started=True))
            return
        lag_ms = self._age_ms(self._heard_ms + 1, now_s) or 0 if self.backlog_ms else 0
        if lag_ms > LAGGING_S * 1000 and not self._lagging:
            self._lagging = True
            self._emit(RecogniserStatus("lagging", lag_ms))
        elif lag_ms < LAG_OVER_S * 1000 and self._lagging:
            self._lagging = False
            self._emit(RecogniserStatus("ok", lag_ms))

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
        try:
            async with asyncio.timeout(end.flush_s):
                await _first_of(reader, sender, committer)
                await reader
        except TimeoutError:
            if not end.tail:
                raise RecogniserSilent("The recogniser did not finish the last words in time.") from None
            log.warning("flush_timed_out", session_id=self.public_id, flush_s=end.flush_s)
            return
        self._watermark.on_flushed(self.config.audio_format.bytes_to_ms(self.intake.sent))

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
                    self._safe_on_wire,
                    self.segments,
                )
            )
        self.closing_error = error
        if error is not None:
            self._emit(Failed(error, self._safe_on_wire))

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


def _segment(item: _Pending) -> NewSegment:
    result = item.result
    return NewSegment(
        index=item.segment,
        start_ms=result.start_ms,
        end_ms=result.end_ms,
        text=result.text,
        words=[
            {
                "word": word.word,
                "start_ms": word.start_ms,
                "end_ms": word.end_ms,
                "confidence": word.confidence,
                "speaker": word.speaker,
            }
            for word in result.words
        ],
        alternatives=[{"text": item.text, "confidence": item.confidence} for item in result.alternatives],
        confidence=result.confidence,
        speaker=next((word.speaker for word in result.words if word.speaker), "") or "",
        language=result.language or "",
        channel=result.channel,
        tail=item.tail,
        promoted=item.promoted,
    )


async def _first_of(wanted: Awaitable[Any], *others: asyncio.Task[None]) -> None:
    """Wait for one awaitable; an exception of the others ends the wait and is raised here."""
    future = asyncio.ensure_future(wanted)
    waiting: set[asyncio.Future[Any]] = {future, *others}
    while not future.done():
        done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    future.result()


async def _cancelled(future: asyncio.Future[Any]) -> None:
    """Cancel a task that may still run, and wait until it is gone."""
    if not future.done():
        future.cancel()
        await asyncio.wait({future})
