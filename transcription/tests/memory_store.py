"""The store in memory: the same interface and rules, with faults that a test scripts and passes in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated, SessionTaken
from transcription.principals import Principal
from transcription.steps import Ending, Fenced, NewSegment, NewSession, SessionHandle, Step

Fault = Exception | None


@dataclass(slots=True)
class MemorySession:
    """What the row and its segments would hold."""

    pk: int
    public_id: str
    principal: Principal
    state: str = "created"
    epoch: int = 0
    committed_bytes: int = 0
    asked: dict[str, Any] = field(default_factory=dict)
    new: NewSession | None = None
    recogniser: str = ""
    model: str = ""
    applied: dict[str, Any] = field(default_factory=dict)
    segments: list[NewSegment] = field(default_factory=list)
    ending: Ending | None = None
    created_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def handle(self) -> SessionHandle:
        return SessionHandle(
            self.pk, self.public_id, self.epoch, len(self.segments), self.committed_bytes, self.created_at
        )

    def owned_by(self, principal: Principal) -> bool:
        return principal.owns(owner_id=self.principal.user_id, api_key_id=self.principal.key_id)


class MemoryStore:
    """faults: for each call of a method, in order, the error to raise instead, or None for none; then none.

    lost_replies: for each commit, the error to raise after it was stored. gate: commits wait until it is set.
    """

    def __init__(
        self,
        *,
        max_sessions: int = 150,
        fail_creates: Iterable[Fault] = (),
        fail_opened: Iterable[Fault] = (),
        fail_commits: Iterable[Fault] = (),
        lost_replies: Iterable[Fault] = (),
        fail_finishes: Iterable[Fault] = (),
        gate: asyncio.Event | None = None,
    ) -> None:
        self.sessions: dict[str, MemorySession] = {}
        self.steps: list[Step] = []
        self._max_sessions = max_sessions
        self._fail_creates = deque(fail_creates)
        self._fail_opened = deque(fail_opened)
        self._fail_commits = deque(fail_commits)
        self._lost_replies = deque(lost_replies)
        self._fail_finishes = deque(fail_finishes)
        self._gate = gate
        self._changed = asyncio.Condition()

    def held_sessions(self) -> frozenset[int]:
        return frozenset(row.pk for row in self.sessions.values() if row.state == "live")

    def make_created(self, public_id: str, principal: Principal, asked: dict[str, Any]) -> MemorySession:
        """What `start-transcription` leaves behind."""
        row = MemorySession(len(self.sessions) + 1, public_id, principal, asked=asked)
        self.sessions[public_id] = row
        return row

    def take_away(self, public_id: str) -> None:
        """Another connection takes the session."""
        self.sessions[public_id].epoch += 1

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
        if len(self.held_sessions()) >= self._max_sessions:
            raise AtCapacity("All places are taken.", retry_after_ms=5000)
        row = row or MemorySession(len(self.sessions) + 1, new.public_id, new.principal)
        row.principal, row.new, row.asked = new.principal, new, new.asked
        row.applied = new.applied.model_dump(mode="json")
        row.state, row.ending, row.epoch = "live", None, row.epoch + 1
        self.sessions[new.public_id] = row
        await self._tell()
        return row.handle

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
        _raise_next(self._fail_commits)
        self._store(step)
        self.steps.append(step)
        await self._tell()
        _raise_next(self._lost_replies)

    async def finish(self, handle: SessionHandle, ending: Ending) -> None:
        _raise_next(self._fail_finishes)
        row = self._by_pk(handle.pk)
        if row is not None and (row.epoch, row.ending) == (handle.epoch, ending):
            return
        row = self._held(handle.pk, handle.epoch)
        row.state, row.ending = ending.state, ending
        await self._tell()

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

    def _by_pk(self, pk: int) -> MemorySession | None:
        return next((row for row in self.sessions.values() if row.pk == pk), None)

    def _held(self, pk: int, epoch: int) -> MemorySession:
        row = self._by_pk(pk)
        if row is None or row.epoch != epoch or row.state != "live":
            raise Fenced("Another connection has taken over this session.")
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


def _raise_next(faults: deque[Fault]) -> None:
    fault = faults.popleft() if faults else None
    if fault is not None:
        raise fault
