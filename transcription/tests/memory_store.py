"""The store in memory: the same interface and rules, with faults that a test scripts and passes in."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from transcription.audio.formats import AudioFormat
from transcription.errors import (
    AtCapacity,
    BadMessage,
    InternalError,
    NotAllowed,
    NotAuthenticated,
    NothingToResume,
    SessionOver,
    SessionTaken,
    StoppedByOperator,
    StorageUnavailable,
    TooFast,
    TranscriptionError,
)
from transcription.identity.principals import Principal
from transcription.options import TranscriptionConfig
from transcription.storage.steps import (
    Ending,
    Fenced,
    NewSegment,
    NewSession,
    Resume,
    SessionHandle,
    Step,
    StoredEnd,
    StoredSegment,
    Taken,
)
from transcription.storage.tails import kept_tails

Fault = Exception | None

RESUME_WINDOW_S = 600.0


@dataclass(slots=True)
class MemorySession:
    """What the row and its segments would hold. segments: the committed ones; tails come after them."""

    pk: int
    public_id: str
    principal: Principal
    state: str = "created"
    epoch: int = 0
    committed_bytes: int = 0
    header_bytes: int = 0
    flushed_bytes: int = 0
    audio_bytes: int = 0
    audio_ms: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    asked: dict[str, Any] = field(default_factory=dict)
    new: NewSession | None = None
    token_digest: str = ""
    recogniser: str = ""
    model: str = ""
    applied: dict[str, Any] = field(default_factory=dict)
    segments: list[NewSegment] = field(default_factory=list)
    tails: list[NewSegment] = field(default_factory=list)
    ending: Ending | None = None
    end_reason: str = ""
    stop_reason: str | None = None
    started_at_s: float = 0.0
    resume_until_s: float | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def handle(self) -> SessionHandle:
        return SessionHandle(
            self.pk, self.public_id, self.epoch, len(self.segments), self.committed_bytes, self.created_at
        )

    @property
    def audio_format(self) -> AudioFormat:
        return (self.new.applied if self.new else TranscriptionConfig()).audio_format

    @property
    def is_resumable(self) -> bool:
        return self.token_digest != "" and self.audio_format.has_constant_rate

    def owned_by(self, principal: Principal) -> bool:
        return principal.owns(owner_id=self.principal.user_id, api_key_id=self.principal.key_id)


class MemoryStore:
    """faults: for each call of a method, in order, the error to raise instead, or None for none; then none.

    lost_replies: for each commit, the error to raise after it was stored. gate: commits wait until it is set.
    clock: in seconds; ages and resume windows are measured by it.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 150,
        max_sessions_per_owner: int = 0,
        fail_creates: Iterable[Fault] = (),
        fail_takes: Iterable[Fault] = (),
        fail_opened: Iterable[Fault] = (),
        fail_commits: Iterable[Fault] = (),
        lost_replies: Iterable[Fault] = (),
        fail_finishes: Iterable[Fault] = (),
        gate: asyncio.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sessions: dict[str, MemorySession] = {}
        self.steps: list[Step] = []
        self._max_sessions = max_sessions
        self._max_sessions_per_owner = max_sessions_per_owner
        self._fail_creates = deque(fail_creates)
        self._fail_takes = deque(fail_takes)
        self._fail_opened = deque(fail_opened)
        self._fail_commits = deque(fail_commits)
        self._frozen = False
        self._takes_wait_for: asyncio.Event | None = None
        self._lost_replies = deque(lost_replies)
        self._fail_finishes = deque(fail_finishes)
        self._gate = gate
        self._clock = clock
        self._changed = asyncio.Condition()

    def fail_commits(self, faults: Iterable[Fault]) -> None:
        """The errors to raise for the next commits, in place of those that were scripted."""
        self._fail_commits = deque(faults)

    def freeze(self) -> None:
        """Nothing that a killed process still tries reaches the store, until thaw()."""
        self._frozen = True

    def thaw(self) -> None:
        self._frozen = False

    def _check_reachable(self) -> None:
        if self._frozen:
            raise StorageUnavailable("The database does not answer.")

    def held_sessions(self) -> frozenset[SessionHandle]:
        return frozenset(row.handle for row in self.sessions.values() if row.state == "live")

    def make_created(self, public_id: str, principal: Principal, asked: dict[str, Any]) -> MemorySession:
        """What `start-transcription` leaves behind."""
        row = MemorySession(len(self.sessions) + 1, public_id, principal, asked=asked)
        self.sessions[public_id] = row
        return row

    def take_away(self, public_id: str) -> None:
        """Another connection takes the session."""
        self.sessions[public_id].epoch += 1

    def lose_worker(self, public_id: str) -> None:
        """What a reaper does to a live session whose process is gone."""
        row = self.sessions[public_id]
        row.audio_bytes = max(row.audio_bytes, row.committed_bytes)
        row.audio_ms = max(row.audio_ms, row.audio_format.bytes_to_ms(row.committed_bytes))
        row.end_reason = "worker_lost"
        if row.stop_reason is not None:
            row.state, row.end_reason = "completed", "operator"
        elif row.is_resumable:
            row.state, row.resume_until_s = "detached", self._clock() + RESUME_WINDOW_S
        else:
            row.state = "interrupted"

    def expire(self) -> None:
        """What a reaper does to detached sessions whose time is over."""
        for row in self.sessions.values():
            if row.state == "detached" and not self._is_in_time(row):
                row.state = "interrupted"

    def stop(self, public_id: str, reason: str = "") -> None:
        """An operator's wish: a live session is only asked, a detached one is complete at once."""
        row = self.sessions[public_id]
        row.stop_reason = reason
        if row.state == "detached":
            row.state, row.end_reason = "completed", "operator"

    async def wait_until(self, public_id: str, *, segments: int = 0, ended: bool = False) -> MemorySession:
        """Wait until a session has so many segments, and has ended if asked; the test's own timeout bounds it."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has(public_id, segments, ended))
        return self.sessions[public_id]

    async def create(self, new: NewSession) -> SessionHandle:
        _raise_next(self._fail_creates)
        if new.principal.session_id not in (None, new.public_id):
            raise NotAllowed("This token is for another session.")
        row = self.sessions.get(new.public_id)
        if row is not None:
            _check_may_start(row, new.principal)
        self._check_places(new.principal)
        row = row or MemorySession(len(self.sessions) + 1, new.public_id, new.principal)
        row.principal, row.new, row.asked = new.principal, new, new.asked
        row.applied = new.applied.model_dump(mode="json")
        row.token_digest, row.started_at_s = new.resume_token_digest, self._clock()
        row.state, row.ending, row.end_reason, row.epoch = "live", None, "", row.epoch + 1
        self.sessions[new.public_id] = row
        await self._tell()
        return row.handle

    def hold_takes(self, gate: asyncio.Event | None) -> None:
        """Takes that come from now on wait until it is set."""
        self._takes_wait_for = gate

    async def take(self, resume: Resume) -> Taken:
        if self._takes_wait_for is not None:
            await self._takes_wait_for.wait()
        _raise_next(self._fail_takes)
        row = self.sessions.get(resume.public_id)
        if row is None or not _may_resume(row, resume):
            raise NothingToResume("There is nothing to resume.")
        if (row.state, row.end_reason) == ("completed", "client"):
            ended = StoredEnd("client", row.audio_ms, row.audio_bytes, len(row.segments))
            return self._taken(row, resume, withdrawn=False, ended=ended)
        _check_resumable_state(row)
        if not self._is_in_time(row) or self._age_s(row) >= resume.max_age_s:
            raise SessionOver("The time is over.", reason="resume_window_over")
        if row.state == "detached":
            self._check_places(resume.principal)
        held_from = _held_from(row, resume)
        _keep_tails(row, held_from)
        _record_gap(row, held_from)
        were_tails = bool(row.tails)
        row.tails, row.flushed_bytes = [], 0
        row.epoch += 1
        row.state, row.ending, row.end_reason, row.resume_until_s = "live", None, "", None
        await self._tell()
        holds_more = (resume.received_segments or 0) > len(row.segments)
        return self._taken(row, resume, withdrawn=were_tails or holds_more)

    async def created_config(self, public_id: str, principal: Principal) -> dict[str, Any] | None:
        row = self.sessions.get(public_id)
        return dict(row.asked) if row and row.state == "created" and row.owned_by(principal) else None

    async def opened(self, handle: SessionHandle, *, recogniser: str, model: str, applied: dict[str, Any]) -> None:
        _raise_next(self._fail_opened)
        row = self._held(handle.pk, handle.epoch)
        row.recogniser, row.model, row.applied = recogniser, model, applied

    async def commit(self, step: Step) -> None:
        if self._gate is not None:
            await self._gate.wait()
        self._check_reachable()
        _raise_next(self._fail_commits)
        self._store(step)
        self.steps.append(step)
        await self._tell()
        _raise_next(self._lost_replies)

    async def finish(self, handle: SessionHandle, ending: Ending) -> None:
        self._check_reachable()
        _raise_next(self._fail_finishes)
        row = self._by_pk(handle.pk)
        if row is None or row.epoch != handle.epoch:
            raise Fenced("Another connection has taken over this session.")
        state, reason = ending.state, ending.reason
        if state == "detached" and row.stop_reason is not None:
            state, reason = "completed", "operator"
        if (row.state, row.end_reason) == (state, reason):
            return
        if row.state not in ("live", "detached"):
            raise _why_not_held(row, handle.epoch) or Fenced("The session has ended.")
        if ending.tails and ending.tails[0].index == len(row.segments):
            row.tails, row.flushed_bytes = list(ending.tails), ending.flushed_bytes
        elif not ending.tails:
            row.flushed_bytes = ending.flushed_bytes
        row.state, row.end_reason, row.ending = state, reason, ending
        row.audio_bytes, row.audio_ms = ending.audio_bytes, ending.audio_ms
        row.resume_until_s = self._clock() + ending.resume_within_s if state == "detached" else None
        await self._tell()

    async def lost(self, handles: Collection[SessionHandle]) -> dict[SessionHandle, TranscriptionError]:
        reasons = {handle: _why_not_held(self._by_pk(handle.pk), handle.epoch) for handle in handles}
        return {handle: error for handle, error in reasons.items() if error is not None}

    async def aclose(self) -> None:
        """Nothing to close."""

    def _store(self, step: Step) -> None:
        row = self._by_pk(step.pk)
        if row is not None and row.epoch == step.epoch:
            end = step.expected_seq + len(step.segments)
            if step.segments and tuple(row.segments[step.expected_seq : end]) == step.segments:
                return
            if not step.segments and row.committed_bytes >= step.committed_bytes:
                return
        row = self._held(step.pk, step.epoch)
        if len(row.segments) != step.expected_seq:
            raise Fenced("Another connection has taken over this session.")
        row.segments.extend(step.segments)
        row.committed_bytes = max(row.committed_bytes, step.committed_bytes)
        row.header_bytes = max(row.header_bytes, step.header_bytes)

    def _check_places(self, principal: Principal) -> None:
        live = [row for row in self.sessions.values() if row.state == "live"]
        is_somebody = (principal.user_id, principal.key_id) != (None, None)
        own = sum(row.owned_by(principal) for row in live)
        if self._max_sessions_per_owner and is_somebody and own >= self._max_sessions_per_owner:
            raise TooFast("You have too many live sessions.", reason="too_many_sessions", retry_after_ms=5000)
        if len(live) >= self._max_sessions:
            raise AtCapacity("All places are taken.", retry_after_ms=5000)

    def _is_in_time(self, row: MemorySession) -> bool:
        return row.resume_until_s is None or row.resume_until_s > self._clock()

    def _age_s(self, row: MemorySession) -> float:
        return self._clock() - row.started_at_s

    def _taken(self, row: MemorySession, resume: Resume, *, withdrawn: bool, ended: StoredEnd | None = None) -> Taken:
        return Taken(
            handle=row.handle,
            asked=dict(row.asked),
            applied=dict(row.applied),
            header_bytes=row.header_bytes,
            gaps=tuple(row.gaps),
            withdrawn=withdrawn,
            segments=tuple(_stored(segment) for segment in row.segments[resume.received_segments or 0 :]),
            age_s=self._age_s(row),
            audio_bytes=max(row.audio_bytes, row.committed_bytes),
            ended=ended,
        )

    def _by_pk(self, pk: int) -> MemorySession | None:
        return next((row for row in self.sessions.values() if row.pk == pk), None)

    def _held(self, pk: int, epoch: int) -> MemorySession:
        row = self._by_pk(pk)
        error = _why_not_held(row, epoch)
        if row is None or error is not None:
            raise error or Fenced("The session is gone.")
        return row

    def _has(self, public_id: str, segments: int, ended: bool) -> bool:
        row = self.sessions.get(public_id)
        return row is not None and len(row.segments) >= segments and (not ended or row.ending is not None)

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _check_may_start(row: MemorySession, principal: Principal) -> None:
    if row.owned_by(principal) and row.state == "created":
        return
    if principal.kind == "token":
        raise NotAuthenticated("This token has been used.", reason="token_used")
    has_audio = row.ending is not None and row.ending.audio_bytes > 0
    if row.owned_by(principal) and row.state == "failed" and not has_audio and not row.segments:
        return
    raise SessionTaken("This session id exists already.")


def _may_resume(row: MemorySession, resume: Resume) -> bool:
    return (
        row.is_resumable
        and row.token_digest == resume.token_digest
        and row.owned_by(resume.principal)
        and resume.principal.session_id in (None, row.public_id)
    )


def _check_resumable_state(row: MemorySession) -> None:
    match row.state, row.end_reason:
        case (("live" | "detached"), _reason):
            return
        case "completed", "operator":
            raise StoppedByOperator(row.stop_reason or "An operator stopped the session.")
        case "completed", "session_timeout":
            raise SessionOver("The session reached its maximum length.")
        case (("completed" | "interrupted"), _reason):
            raise SessionOver("The time is over.", reason="resume_window_over")
    raise NothingToResume("There is nothing to resume.")


def _held_from(row: MemorySession, resume: Resume) -> int:
    if resume.held_from is None:
        return row.committed_bytes
    audio_format = row.audio_format
    held_from = resume.held_from - row.header_bytes
    furthest = max(row.audio_bytes, row.committed_bytes) + round(resume.max_age_s) * audio_format.bytes_per_second
    if held_from > furthest:
        raise BadMessage("No audio can be that far on.", reason="bad_held_from", field="held_from")
    return audio_format.align(held_from + audio_format.bytes_per_sample_set - 1)


def _keep_tails(row: MemorySession, held_from: int) -> None:
    if held_from <= row.committed_bytes:
        return
    ends_ms = [tail.end_ms for tail in row.tails]
    kept, settled = kept_tails(
        ends_ms, flushed_bytes=row.flushed_bytes, held_from=held_from, audio_format=row.audio_format
    )
    row.segments += [replace(tail, tail=False) for tail in row.tails[:kept]]
    row.tails = row.tails[kept:]
    row.committed_bytes = max(row.committed_bytes, settled)


def _record_gap(row: MemorySession, end: int) -> None:
    start = row.committed_bytes
    if end > start:
        if row.gaps and row.gaps[-1][1] == start:
            start = row.gaps.pop()[0]
        row.gaps.append((start, end))
        row.committed_bytes = end


def _why_not_held(row: MemorySession | None, epoch: int) -> TranscriptionError | None:
    if row is None or row.epoch != epoch:
        return Fenced("Another connection has taken over this session.")
    match row.state, row.end_reason:
        case "live", _reason:
            return None
        case "detached", _reason:
            return InternalError("The session can be resumed.", reason="detached")
        case "completed", "operator":
            return StoppedByOperator(row.stop_reason or "An operator stopped the session.")
    return Fenced("Another connection has taken over this session.")


def _stored(segment: NewSegment) -> StoredSegment:
    return StoredSegment(
        segment.index,
        segment.start_ms,
        segment.end_ms,
        segment.text,
        segment.words,
        segment.alternatives,
        segment.confidence,
        segment.language,
        segment.channel,
    )


def _raise_next(faults: deque[Fault]) -> None:
    fault = faults.popleft() if faults else None
    if fault is not None:
        raise fault
