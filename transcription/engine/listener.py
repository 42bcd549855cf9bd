"""Keeps a recogniser listening to one session's audio, over as many streams as it takes.

A stream may be lost, parked while no audio comes, renewed because it is old, or ended to settle what it said.
What follows is always the same: a new stream that hears the audio from the settled position on.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections import deque
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, Literal

import structlog

from transcription import metrics
from transcription.engine.hearing import Hearing
from transcription.engine.intake import CHUNK_MAX_BYTES, RING_S, Intake
from transcription.engine.opening import open_with_retries
from transcription.engine.outage import Outage
from transcription.engine.pacing import REPLAY_SPEED, REPLAY_SPEED_AFTER_REFUSAL, ReplayPace
from transcription.engine.recogniser_watch import MUTE_REASON, RecogniserWatch
from transcription.engine.recognition import Recogniser, RecognitionStream, Result
from transcription.engine.wake import Wake
from transcription.engine.write_tick import Writer, write_at_once
from transcription.errors import RecogniserFailed, RecogniserSilent, TranscriptionError
from transcription.events import Event, RecogniserStatus
from transcription.options import TranscriptionConfig
from transcription.results import InterimResult
from transcription.timeline.chronicle import Chronicle
from transcription.waiting import ended_in_time, first_of

log = structlog.get_logger(__name__)

# Long before recognisers let go of an idle stream (60 s) and its place is wanted by others.
PARK_AFTER_S = 10.0
# A stream is renewed at the next pause after this, and without one at ROTATE_HARD_S.
ROTATE_AFTER_S = 15 * 60.0
ROTATE_HARD_S = 20 * 60.0
# Audio that nobody pauses in for so long is cut at its widest gap.
CUT_AFTER_S = 45.0
# Nothing said of that much audio for so long: the recogniser is mute in silence, and only an end settles it.
MUTE_FOR_S = 10.0
# Ends of utterances that a client asked for and that are told to each stream that hears them.
MAX_UTTERANCE_ENDS = 64
# How long a recogniser may be silent while it ends a stream that is cut.
CUT_PATIENCE_S = 10.0

State = Literal["opening", "listening", "parked", "reconnecting"]


class Interruption(Enum):
    """Why a stream that works is ended."""

    PARK = auto()
    ROTATE = auto()
    CUT = auto()
    FINISH = auto()


class Listener:
    """Owns one session's streams, one at a time; everything is released when `run` ends.

    wake: has `write` called for new audio, now or together with others (WriteTick). chunk_ms: in which steps the
    recogniser hears, where that is known: audio that completes none may wait for the next, or for tick().
    """

    __slots__ = (
        "_chronicle",
        "_chunk_bytes",
        "_chunk_s",
        "_clock",
        "_config",
        "_cut_wanted",
        "_emit",
        "_ended_to",
        "_finish_wanted",
        "_half_closed",
        "_heard_audio_at_s",
        "_hearing",
        "_intake",
        "_interrupted",
        "_is_woken",
        "_on_sent",
        "_opened_at_s",
        "_outage",
        "_recogniser",
        "_replay",
        "_sent_once",
        "_stream",
        "_stream_start",
        "_untaken",
        "_utterance_ends",
        "_wake",
        "_wanted",
        "_watch",
        "state",
    )

    def __init__(
        self,
        recogniser: Recogniser,
        intake: Intake,
        hearing: Hearing,
        watch: RecogniserWatch,
        *,
        emit: Callable[[Event], None],
        chronicle: Chronicle | None = None,
        on_sent: Callable[[], None],
        wake: Callable[[Writer], None] = write_at_once,
        chunk_ms: int = 0,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float],
    ) -> None:
        self.state: State = "opening"
        self._recogniser = recogniser
        self._intake = intake
        self._hearing = hearing
        self._watch = watch
        self._emit = emit
        self._chronicle = chronicle or Chronicle(emit, audio_ms=lambda: None, clock=clock)
        self._on_sent = on_sent
        self._wake = wake
        self._chunk_s = chunk_ms / 1000
        self._chunk_bytes = intake.format.ms_to_bytes(chunk_ms)
        # Where the stream that is open began to hear.
        self._stream_start = intake.sent
        self._clock = clock
        self._outage = Outage(jitter=jitter)
        self._config: TranscriptionConfig | None = None
        self._stream: RecognitionStream | None = None
        self._opened_at_s = 0.0
        self._heard_audio_at_s = clock()
        self._wanted = Wake()
        self._interrupted: asyncio.Future[Interruption] | None = None
        self._replay: ReplayPace | None = None
        # The furthest that any stream was sent; what a new one hears before it is a replay.
        self._sent_once = intake.sent
        # Where the client ended utterances, and the last of these places that this stream was told.
        self._utterance_ends: deque[int] = deque(maxlen=MAX_UTTERANCE_ENDS)
        self._ended_to = intake.sent
        self._is_woken = False
        # What `write` could not send, and the sender will.
        self._untaken = b""
        self._finish_wanted = False
        self._cut_wanted = False
        self._half_closed = False

    # What the session tells

    def audio_came(self, now_s: float) -> None:
        self._heard_audio_at_s = now_s
        if not self._chunk_bytes or self._completes_a_chunk:
            self._wake(self)

    def write(self) -> None:
        """Send what has come, if nothing stands in the way; otherwise it is the sender's to do."""
        stream = self._stream
        if stream is not None and self._wanted.is_awaited and self.state == "listening" and self._is_plain:
            chunk = self._intake.take_chunk()
            if not chunk:
                return
            if stream.send_now(chunk):
                self._on_sent()
                if not self._intake.has_unsent:
                    return
            else:
                self._untaken = chunk
        self._wanted.set()

    @property
    def _completes_a_chunk(self) -> bool:
        """Whether the audio here gives the recogniser something to answer, or it may be waiting for any."""
        if self.state == "parked":
            return True
        whole = (self._intake.sent - self._stream_start) // self._chunk_bytes
        return (self._intake.received - self._stream_start) // self._chunk_bytes > whole

    def finalize(self) -> None:
        """End the current utterance with the audio received so far."""
        if self.state == "parked":
            if not self._hearing.is_open:
                return
            self._is_woken = True
        while self._utterance_ends and self._utterance_ends[0] <= self._intake.floor:
            self._utterance_ends.popleft()
        self._utterance_ends.append(self._intake.format.align(self._intake.received))
        self._wanted.set()

    def finish(self) -> None:
        """No more audio will come: `run` ends once everything is answered."""
        self._finish_wanted = True
        self._wanted.set()

    def tick(self, now_s: float) -> None:
        """End the stream where that is due as time passes."""
        if self._interrupted is None or self._interrupted.done() or self._half_closed:
            return
        try:
            status = self._watch.check(now_s)
        except RecogniserSilent as error:
            metrics.UPSTREAM_WATCHDOG_TOTAL.labels(kind=error.reason).inc()
            if error.reason == MUTE_REASON and self._may_cut:
                # One that hangs does not end its stream either.
                self._interrupted.set_result(Interruption.CUT)
                return
            self._interrupted.set_exception(error)
            # Whoever waits hears it; if the stream ended in the same moment nobody does.
            self._interrupted.exception()
            return
        if status is not None:
            self._emit(status)
        if self._chunk_bytes and self._intake.has_unsent and now_s - self._heard_audio_at_s >= self._chunk_s:
            # The rest of a chunk has not come in time.
            self._wanted.set()
        reason = self._due(now_s)
        if reason is not None:
            self._interrupted.set_result(reason)

    @property
    def _may_cut(self) -> bool:
        return self._intake.format.has_constant_rate and not self._finish_wanted

    def _due(self, now_s: float) -> Interruption | None:
        if not self._may_cut:
            return None
        age_s = now_s - self._opened_at_s
        if self._hearing.wants_cut or age_s >= ROTATE_HARD_S or self._is_endless(now_s):
            return Interruption.CUT
        if age_s >= ROTATE_AFTER_S and not self._hearing.is_open:
            return Interruption.ROTATE
        if self._is_idle(now_s):
            return Interruption.PARK
        return None

    def _is_idle(self, now_s: float) -> bool:
        """Whether no audio came and nothing was said: what was sent ahead may still be worked at."""
        is_new = now_s - self._opened_at_s < PARK_AFTER_S
        if is_new or self._intake.has_unsent or now_s - self._heard_audio_at_s < PARK_AFTER_S:
            return False
        return self._watch.is_quiet(now_s, PARK_AFTER_S)

    def _is_endless(self, now_s: float) -> bool:
        """Whether too much was heard, or was listened to without a word, and nothing of it is settled."""
        settled_ms = self._intake.format.bytes_to_ms(self._intake.floor)
        if self._watch.heard_ms - settled_ms >= CUT_AFTER_S * 1000:
            return True
        return self._intake.unsettled_s >= CUT_AFTER_S and self._watch.is_quiet(now_s, MUTE_FOR_S)

    # Opening

    async def open(self, config: TranscriptionConfig) -> RecognitionStream:
        """The first stream of a session, tried for as long as its client waits. Raises the last failure."""
        self._stream = await open_with_retries(
            self._recogniser,
            config,
            on_retry=lambda: self._emit(RecogniserStatus("reconnecting", 0)),
            clock=self._clock,
            jitter=self._outage.jitter,
        )
        self._opened(self._stream)
        return self._stream

    def begin_parked(self, config: TranscriptionConfig) -> None:
        """A session that is taken up again: the recogniser is opened once there is audio for it."""
        self._config = config
        self.state = "parked"

    def _opened(self, stream: RecognitionStream) -> None:
        now_s = self._clock()
        self._config = stream.config
        self._stream = stream
        self._opened_at_s = now_s
        self._stream_start = self._intake.sent
        self._cut_wanted = self._half_closed = False
        self._untaken = b""
        self._watch.opened(now_s)
        self.state = "listening"

    # Listening

    async def run(self) -> None:
        """Until the audio is over and answered. Raises what cannot be recovered from."""
        try:
            while not await self._listen_once():
                pass
        finally:
            self.cancel()

    def cancel(self) -> None:
        """Release the stream at once."""
        if self._stream is not None:
            self._stream.cancel()

    async def _listen_once(self) -> bool:
        """One stream from open to end. Returns whether the audio is over."""
        if self.state != "listening" and not await self._reopened():
            return True
        assert self._stream is not None  # noqa: S101 - listening means that there is one
        stream = self._stream
        try:
            reason = await self._use(stream)
        except TranscriptionError as error:
            log.warning("stream_lost", reason=error.reason)
            self._lost(error)
            return False
        finally:
            stream.cancel()
        match reason:
            case Interruption.FINISH:
                return True
            case Interruption.PARK:
                self.state = "parked"
                self._chronicle.pauses()
            case Interruption.ROTATE:
                self._will_reopen("rotation")
            case Interruption.CUT:
                metrics.FORCED_CUTS_TOTAL.inc()
                self._hearing.on_cut(stream.last_interim(), self._clock())
                self._will_reopen("cut")
        return False

    async def _use(self, stream: RecognitionStream) -> Interruption:
        """Feed and read one stream until it is over. Raises the TranscriptionError it broke with."""
        self._interrupted = asyncio.get_running_loop().create_future()
        sender = asyncio.create_task(self._send(stream))
        reader = asyncio.create_task(self._read(stream))
        interrupted = self._interrupted
        try:
            waiting: set[asyncio.Future[Any]] = {interrupted, sender, reader}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if reader.done() or sender.done():
                await first_of(reader, sender)
                return self._ended()
            reason = interrupted.result()
            if reason is Interruption.CUT:
                await self._cut(sender, reader)
            return reason
        finally:
            self._interrupted = None
            for task in (sender, reader):
                task.cancel()
            await asyncio.gather(sender, reader, return_exceptions=True)

    def _ended(self) -> Interruption:
        """What it means that a stream ended OK."""
        if not self._half_closed:
            raise RecogniserFailed("The recogniser ended the stream.", reason="recogniser_ended")
        return Interruption.FINISH

    async def _cut(self, sender: asyncio.Task[None], reader: asyncio.Task[None]) -> None:
        """End a stream in the middle of the audio and hear what it has. Raises RecogniserSilent if it does not end.

        The sender is told and not cancelled: a write that is broken off would end the call.
        """
        self._cut_wanted = True
        self._wanted.set()
        if not await ended_in_time(
            asyncio.ensure_future(first_of(reader, sender)),
            lambda: self._watch.answers,
            silent_s=self._watch.patience_s(CUT_PATIENCE_S),
            at_most_s=RING_S,
        ):
            raise RecogniserSilent("The recogniser does not end its stream.", reason="cut_timed_out")
        self._ended()

    # Audio out

    async def _send(self, stream: RecognitionStream) -> None:
        while True:
            if self._untaken:
                chunk, self._untaken = self._untaken, b""
                await stream.send(chunk)
                self._on_sent()
            while self._is_plain and (chunk := self._intake.take_chunk()):
                await stream.send(chunk)
                self._on_sent()
            if self._is_plain and not self._finish_wanted:
                await self._wanted.next()
                continue
            while self._intake.has_unsent and not (self._is_at_utterance_end or self._cut_wanted):
                await stream.send(await self._next_chunk())
                self._on_sent()
            if self._is_at_utterance_end and not self._cut_wanted:
                self._ended_to = self._intake.sent
                self._hearing.end_utterance_asked()
                await stream.end_utterance()
                continue
            if self._finish_wanted or self._cut_wanted:
                self._half_closed = True
                self._hearing.half_closed(is_cut=self._cut_wanted)
                await stream.half_close()
                return
            await self._wanted.next()

    @property
    def _is_plain(self) -> bool:
        """Whether all audio goes out as it comes, as it nearly always does."""
        return self._replay is None and not self._utterance_ends and not self._cut_wanted

    @property
    def _next_utterance_end(self) -> int | None:
        if not self._utterance_ends:
            return None
        return next((end for end in self._utterance_ends if end > self._ended_to), None)

    @property
    def _is_at_utterance_end(self) -> bool:
        end = self._next_utterance_end
        return end is not None and end <= self._intake.sent

    async def _next_chunk(self) -> bytes:
        """All audio that has gathered, up to the end of an utterance; of a replay, a piece when its turn has come."""
        piece = self._replay.piece_bytes(self._intake.sent) if self._replay is not None else None
        if self._replay is None or piece is None:
            self._replay, piece = None, CHUNK_MAX_BYTES
        elif delay_s := self._replay.delay_s(self._intake.sent, self._clock()):
            await asyncio.sleep(delay_s)
        end = self._next_utterance_end
        return self._intake.take_chunk(piece if end is None else min(piece, end - self._intake.sent))

    # Words in

    async def _read(self, stream: RecognitionStream) -> None:
        await stream.hear(functools.partial(self._heard, stream))

    def _heard(self, stream: RecognitionStream, result: Result) -> None:
        self._hearing.take(result, stream.capabilities, self._clock())

    def last_interim(self) -> InterimResult | None:
        """The newest interim of the stream, with its words."""
        return None if self._stream is None else self._stream.last_interim()

    # A stream after another

    def _lost(self, error: TranscriptionError) -> None:
        """Note the loss of a stream. Raises the error where a new stream would not help."""
        if not self._intake.format.has_constant_rate:
            raise error
        self._outage.stream_lost(error, self._clock(), settled=self._intake.floor)
        self._will_reopen(error.reason)
        if not self._outage.is_quiet:
            self._emit(RecogniserStatus("reconnecting", 0))

    def _will_reopen(self, reason: str) -> None:
        metrics.UPSTREAM_REOPENS_TOTAL.labels(reason=reason).inc()
        self._chronicle.leaves(reason)
        self.state = "reconnecting"

    async def _reopened(self) -> bool:
        """Open the next stream at the settled position. False if there is nothing left for it to hear."""
        if self.state == "parked":
            await self._audio_or_end()
        if self._finish_wanted and self._intake.format.align(self._intake.received) <= self._intake.floor:
            return False
        self._sent_once = max(self._sent_once, self._intake.sent)
        self._hearing.restart()
        self._intake.rewind()
        start = self._ended_to = self._intake.floor
        self._watch.rewound(self._intake.format.bytes_to_ms(start))
        await self._open_at(start)
        self._chronicle.listens()
        self._replay_from(start, self._sent_once)
        if self._outage.was_told:
            self._outage.was_told = False
            self._emit(RecogniserStatus("ok", 0))
        return True

    async def _open_at(self, start: int) -> None:
        """Open a stream, trying again as the outage allows. Raises the last failure."""
        assert self._config is not None  # noqa: S101 - the session was open before
        base_ms = self._intake.format.bytes_to_ms(start)
        while True:
            delay_s = self._outage.next_delay_s(self._clock())
            if delay_s:
                await asyncio.sleep(delay_s)
            try:
                self._opened(await self._recogniser.open(self._config, base_ms=base_ms))
            except TranscriptionError as error:
                self._outage.open_failed(error, self._clock(), settled=start)
                self.state = "reconnecting"
                self._emit(RecogniserStatus("reconnecting", 0))
            else:
                return

    async def _audio_or_end(self) -> None:
        """Wait until a parked session has audio again, is to end what was open, or is over."""
        while not (self._intake.has_unsent or self._finish_wanted or self._is_woken):
            await self._wanted.next()
        self._is_woken = False

    def _replay_from(self, start: int, until: int) -> None:
        if until <= start:
            self._replay = None
            return
        metrics.REPLAYED_MS_TOTAL.inc(self._intake.format.bytes_to_ms(until - start))
        self._replay = ReplayPace(
            start=start,
            until=until,
            bytes_per_second=self._intake.format.bytes_per_second,
            speed=REPLAY_SPEED_AFTER_REFUSAL if self._outage.was_refused else REPLAY_SPEED,
            now_s=self._clock(),
        )
