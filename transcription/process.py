"""Everything that one server process shares: the recogniser, the store, its worker row, its live sessions."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from speechsite.config import Config, get_config
from transcription import metrics
from transcription.access import require_scope
from transcription.console.live_publisher import LivePublisher
from transcription.console.live_view import LiveViews
from transcription.console.viewers import Viewers
from transcription.dialects.base import DialectLimits
from transcription.engine import end as ends
from transcription.engine.listener import ROTATE_HARD_S
from transcription.engine.live import LiveTranscription
from transcription.engine.resuming import digest_of, make_resume_token, stored_config
from transcription.engine.write_tick import WriteTick
from transcription.errors import AtCapacity, InternalError, NotAuthenticated, TranscriptionError
from transcription.events import Event
from transcription.identity import auth
from transcription.identity.credential_watch import CredentialWatch
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope
from transcription.limits.connection_limits import MAX_MESSAGES_PER_SECOND
from transcription.limits.waiting_connections import WaitingConnections
from transcription.options import parse_config
from transcription.recording.parts import PartFolder
from transcription.recording.resuming import note_stopped_soon, with_kept_audio
from transcription.recording.tape import Problem
from transcription.recording.writer import TapeWriter
from transcription.riva.client import RivaRecogniser
from transcription.riva.endpoint import RivaLimits
from transcription.riva.offer import check_offer
from transcription.riva.target import targets_from_config
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.holding import fenced
from transcription.storage.reaper import ResumeBounds
from transcription.storage.steps import NewSession, Resume, SessionHandle, Taken
from transcription.storage.store import Store
from transcription.subscriptions.places import SubscriptionPlaces
from transcription.timeline.log import TimelineLog
from transcription.workers import StopRequest, WorkerRow

log = structlog.get_logger(__name__)

TICK_S = 0.5
PUBLISH_EVERY_S = 0.25
# So many sessions in one go: measuring their audio takes some 20 us each.
TICK_GROUP = 10
DRAIN_S = 25.0
# A handshake does not wait longer for what the recogniser says of itself.
OFFER_TIMEOUT_S = 1.0
# Of that, what storing and telling takes once nothing more is heard.
HAND_OVER_S = 4.0
# Beyond that, and within the server's grace: a message and a close to each.
VIEWERS_LEAVE_S = 0.5
# A stream that was not renewed in time is lost like any other.
STREAM_DEADLINE_S = ROTATE_HARD_S + 60.0
DRAINING_RETRY_AFTER_MS = 2000


@dataclasses.dataclass(frozen=True, slots=True)
class SessionBounds:
    """How long a session may last, be silent, and wait for somebody who takes it up again (0: nobody may)."""

    session_timeout_s: float
    idle_timeout_s: float
    resume_window_s: float


class Process:
    """One per server process and event loop. start() and aclose() may be called any number of times."""

    def __init__(self, config: Config, *, recogniser: Any = None, store: Any = None) -> None:
        self.config = config
        self.sessions: dict[str, LiveTranscription] = {}
        self.draining = False
        self.worker_id = uuid.uuid4()
        self.threads = DatabaseThreads()
        self.recogniser = recogniser or RivaRecogniser(
            targets_from_config(config), limits=RivaLimits(stream_deadline_s=STREAM_DEADLINE_S)
        )
        self.store = store or Store(
            self.worker_id,
            threads=self.threads,
            max_sessions=config.max_concurrent_sessions,
            max_sessions_per_owner=config.max_sessions_per_owner,
        )
        self.worker_row = WorkerRow(
            self.worker_id,
            threads=self.threads,
            on_stop=self.stop_session,
            on_lost=self.lose_session,
            held=self.store.held_sessions,
            bounds=ResumeBounds(config.resume_window_seconds, config.session_timeout_minutes * 60),
        )
        self.publisher = LivePublisher(
            self.worker_id,
            self.sessions,
            on_stop_nudge=self.worker_row.check_stops,
            is_draining=lambda: self.draining,
        )
        self.views = LiveViews(
            self.threads,
            capacity=config.max_concurrent_sessions,
            layer_reaches_all=bool(config.redis_url) or config.workers == 1,
            slow_backlog_ms=config.console_slow_backlog_ms,
        )
        self.viewers = Viewers()
        self.timeline = TimelineLog(self.threads, self.sessions)
        self.subscription_places = SubscriptionPlaces(
            most_of_owner=config.max_subscriptions_per_owner, most_of_session=config.max_subscriptions_per_session
        )
        self.dialect_limits = _limits(config)
        self.waiting_connections = WaitingConnections(
            config.max_waiting_connections_per_address, spares_loopback=not config.is_production
        )
        self.credentials = CredentialWatch(self.threads)
        self._parts = PartFolder.of(config)
        self._tapes = TapeWriter(self._parts, on_stopped=self._on_recording_stopped)
        self._noting: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._write_tick = WriteTick(config.write_tick_ms / 1000)
        self._starting: asyncio.Task[None] | None = None
        self._clocks: list[asyncio.Task[None]] = []
        self._finished = asyncio.Event()

    # Life

    async def start(self) -> None:
        """Idempotent: the first caller starts, the others wait for it."""
        if self._starting is None:
            self._starting = asyncio.create_task(self._start())
        await asyncio.shield(self._starting)

    async def _start(self) -> None:
        self._loop = asyncio.get_running_loop()
        await self.worker_row.start()
        await self.publisher.start()
        clocks = (self._tick(), self._publish(), self.credentials.run(), self.timeline.run())
        self._clocks = [asyncio.create_task(clock) for clock in clocks]

    async def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Refuse new sessions; let the live ones store and tell their last words; wait until they are gone.

        Those who watch stay until then, and are told to watch elsewhere.
        """
        self.draining = True
        for live in list(self.sessions.values()):
            live.end(ends.draining())
        if not await self._all_gone(max(0.0, timeout_s - HAND_OVER_S)):
            # Those that had ended for another reason, and have much left to hear.
            for live in list(self.sessions.values()):
                live.hand_over()
            await self._all_gone(min(timeout_s, HAND_OVER_S))
        await self.viewers.leave(VIEWERS_LEAVE_S)

    async def _all_gone(self, timeout_s: float) -> bool:
        try:
            async with asyncio.timeout(timeout_s):
                while self.sessions:
                    self._finished.clear()
                    await self._finished.wait()
        except TimeoutError:
            return False
        return True

    async def aclose(self) -> None:
        """Release everything. Sessions that are still live are ended by drain() first."""
        if self._starting is None:
            return
        await asyncio.gather(self._starting, return_exceptions=True)
        for clock in self._clocks:
            clock.cancel()
        await asyncio.gather(*self._clocks, return_exceptions=True)
        await self.timeline.aclose()
        await self.views.aclose()
        await self.publisher.aclose()
        await self.store.aclose()
        await self.worker_row.aclose()
        await self.recogniser.aclose()
        await auth.aclose()
        await asyncio.to_thread(self._tapes.close)
        await asyncio.gather(*self._noting, return_exceptions=True)
        await self.threads.aclose()

    @property
    def live_session_count(self) -> int:
        return len(self.sessions)

    async def recogniser_ready(self, timeout_s: float) -> None:
        """Raises a TranscriptionError unless the recogniser answers in time."""
        await self.recogniser.ready(timeout_s)

    # Sessions

    async def new_session(
        self,
        *,
        session_id: str,
        principal: Principal,
        options: dict[str, Any],
        client_address: str | None,
        user_agent: str,
        dialect: str,
    ) -> NewSession:
        """Check what a client asks for. Options it gave to `POST start-transcription` count where it gives none.

        Raises NotAllowed for a key that may not be used to transcribe, BadConfig naming the field, AtCapacity while
        draining or while the recogniser is known to be away.
        """
        self._check_start(principal)
        asked = {**(await self.store.created_config(session_id, principal) or {}), **options}
        return NewSession(
            public_id=session_id,
            principal=principal,
            client_address=client_address,
            user_agent=user_agent,
            dialect=dialect,
            asked=asked,
            applied=parse_config(asked).as_applied(self.config.keep_audio),
        )

    async def check_wish(self, principal: Principal, options: dict[str, Any]) -> None:
        """Whether a session with these options could begin now, as far as that can be known without beginning it.

        Raises what new_session() raises, and BadConfig for a model or language that the recogniser does not have.
        """
        self._check_start(principal)
        check_offer(await self.recogniser.describe(OFFER_TIMEOUT_S), parse_config(options))

    def _check_start(self, principal: Principal) -> None:
        require_scope(principal, Scope.TRANSCRIBE)
        self._check_open()
        try:
            self.recogniser.check()
        except TranscriptionError as error:
            metrics.ADMISSION_REFUSED_TOTAL.labels(reason=error.reason).inc()
            raise

    def transcribe(
        self,
        new: NewSession,
        *,
        emit: Callable[[Event], None],
        can_resume: bool = True,
        idle_timeout_s: float | None = None,
        bounds: SessionBounds | None = None,
    ) -> LiveTranscription:
        """A live transcription of this process; the caller runs it.

        can_resume: whether another connection may take it up again, where its audio allows that. idle_timeout_s: in
        place of the configured one. bounds: in place of all that is configured.
        """
        bounds = bounds or self._bounds(can_resume=can_resume, idle_timeout_s=idle_timeout_s)
        is_resumable = new.applied.audio_format.has_constant_rate and bounds.resume_window_s > 0
        token = make_resume_token() if is_resumable else ""
        if token:
            new = dataclasses.replace(new, resume_token_digest=digest_of(token))
        return self._live(new, bounds, emit=emit, resume_token=token)

    async def take(self, resume: Resume) -> Taken:
        """Take a session up again. Whoever of this process held it is told at once; elsewhere within a heartbeat.

        Raises what Store.take raises, NotAllowed as new_session() does, and AtCapacity while draining.
        """
        require_scope(resume.principal, Scope.TRANSCRIBE)
        self._check_open()
        taken = await self.store.take(resume)
        if taken.ended is None:
            taken = await with_kept_audio(taken, resume, self._parts, self.threads)
            for live in list(self.sessions.values()):
                held = live.handle
                if held is not None and held.pk == taken.handle.pk and held.epoch < taken.handle.epoch:
                    live.end(ends.failure(fenced(), has_started=True))
        return taken

    def go_on(
        self,
        taken: Taken,
        resume: Resume,
        *,
        dialect: str,
        emit: Callable[[Event], None],
        bounds: SessionBounds | None = None,
        records: bool = True,
    ) -> LiveTranscription:
        """The live transcription of a session that was taken up again; the caller runs it.

        bounds: as in transcribe. records: false where its audio comes from what was kept of it.
        """
        new = NewSession(
            public_id=resume.public_id,
            principal=resume.principal,
            client_address=resume.client_address,
            user_agent=resume.user_agent,
            dialect=dialect,
            asked=taken.asked,
            applied=stored_config(taken.applied),
        )
        return self._live(new, bounds or self._bounds(), emit=emit, taken=taken, records=records)

    def _bounds(self, *, can_resume: bool = True, idle_timeout_s: float | None = None) -> SessionBounds:
        return SessionBounds(
            session_timeout_s=self.session_timeout_s,
            idle_timeout_s=self.config.idle_timeout_seconds if idle_timeout_s is None else idle_timeout_s,
            resume_window_s=self.config.resume_window_seconds if can_resume else 0.0,
        )

    def _live(
        self,
        new: NewSession,
        bounds: SessionBounds,
        *,
        emit: Callable[[Event], None],
        taken: Taken | None = None,
        resume_token: str = "",
        records: bool = True,
    ) -> LiveTranscription:
        keeps = records and new.applied.keep_audio
        return LiveTranscription(
            new,
            recogniser=self.recogniser,
            store=self.store,
            emit=emit,
            session_timeout_s=bounds.session_timeout_s,
            idle_timeout_s=bounds.idle_timeout_s,
            resume_window_s=bounds.resume_window_s,
            taken=taken,
            resume_token=resume_token,
            wake=self._write_tick.wake,
            chunk_ms=self.config.riva_chunk_ms,
            tape=self._tapes.new_tape(new.applied.audio_format, start=taken.audio_offset if taken else 0)
            if keeps
            else None,
        )

    @property
    def session_timeout_s(self) -> float:
        return self.config.session_timeout_minutes * 60

    def _check_open(self) -> None:
        if self.draining:
            metrics.ADMISSION_REFUSED_TOTAL.labels(reason="draining").inc()
            raise draining()

    async def run(self, live: LiveTranscription) -> None:
        """Run a session to its end, listed among the live ones meanwhile."""
        key = f"{live.public_id}/{id(live)}"
        self.sessions[key] = live
        metrics.SESSIONS_LIVE.inc()
        if self.draining:
            # drain() began between new_session() and now, and has not seen this one.
            live.end(ends.draining())
        watched = self.credentials.watch(live.new.principal, functools.partial(_revoke, live), uses_minutes=True)
        try:
            await live.run()
        finally:
            watched.leave()
            self.timeline.leave(live)
            del self.sessions[key]
            metrics.SESSIONS_LIVE.dec()
            self._finished.set()

    async def stop_session(self, public_id: str, request: StopRequest) -> None:
        """An operator stops a session of this process."""
        for live in list(self.sessions.values()):
            if live.public_id == public_id:
                live.end(ends.operator_stop(request.reason))

    async def lose_session(self, handle: SessionHandle, error: TranscriptionError) -> None:
        """A session of this process is not ours to write any more: its client is told why."""
        for live in list(self.sessions.values()):
            if live.handle is not None and (live.handle.pk, live.handle.epoch) == (handle.pk, handle.epoch):
                live.end(ends.failure(error, has_started=True))

    def _on_recording_stopped(self, pk: int, problem: Problem) -> None:
        """From the writer's thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._note_recording_stopped, pk, problem)

    def _note_recording_stopped(self, pk: int, problem: Problem) -> None:
        noting = asyncio.create_task(note_stopped_soon(pk, problem, self.threads))
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)

    async def _tick(self) -> None:
        """The one clock of all sessions of this process. They take turns, so that it never holds up their audio."""
        while True:
            # Their names: a loop that never ends would keep ended sessions alive in its variables.
            names = list(self.sessions)
            groups = [names[start : start + TICK_GROUP] for start in range(0, len(names), TICK_GROUP)] or [[]]
            for group in groups:
                await asyncio.sleep(TICK_S / len(groups))
                self._tick_sessions(group)

    async def _publish(self) -> None:
        while True:
            await asyncio.sleep(PUBLISH_EVERY_S)
            self.publisher.tick()

    def _tick_sessions(self, names: Sequence[str]) -> None:
        for name in names:
            live = self.sessions.get(name)
            if live is None:
                continue
            try:
                live.tick()
            except Exception:
                # A bug with one session's audio must not stop the clock of all others.
                log.exception("tick_failed", session_id=live.public_id)
                live.end(ends.failure(InternalError("Something went wrong on our side."), has_started=True))


def _revoke(live: LiveTranscription, error: TranscriptionError) -> None:
    live.end(ends.revoked(error) if isinstance(error, NotAuthenticated) else ends.client_fault(error))


def draining() -> AtCapacity:
    """What those are told whom this process sends elsewhere."""
    return AtCapacity(
        "This server is being updated; please try again.",
        reason="draining",
        retry_after_ms=DRAINING_RETRY_AFTER_MS,
    )


def _limits(config: Config) -> DialectLimits:
    return DialectLimits(
        max_audio_message_bytes=config.max_audio_message_bytes,
        max_text_message_bytes=config.max_text_message_bytes,
        max_messages_per_second=MAX_MESSAGES_PER_SECOND,
        start_timeout_ms=round(config.start_timeout_seconds * 1000),
        idle_timeout_ms=round(config.idle_timeout_seconds * 1000),
        session_timeout_ms=round(config.session_timeout_minutes * 60_000),
        resume_window_ms=round(config.resume_window_seconds * 1000),
        max_sessions=config.max_concurrent_sessions,
    )


_process: Process | None = None
_loop: asyncio.AbstractEventLoop | None = None


def get_process() -> Process:
    """The Process of the running event loop; made when first asked for, since daphne has no lifespan events."""
    global _process, _loop
    loop = asyncio.get_running_loop()
    if _process is None or _loop is not loop:
        _process, _loop = Process(get_config()), loop
    return _process
