"""The store under test with what a test does around it: the database's or the one in memory, by the same names."""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection
from django.db.models import F

from transcription.identity.principals import LOCAL, Principal
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.services import request_stop
from transcription.storage.reaper import ResumeBounds, expire_detached, release_lost
from transcription.storage.steps import Resume, SessionHandle
from transcription.storage.store import SessionStore, Store
from transcription.tests.memory_store import MemoryStore
from transcription.tests.sessions import Clock, ScriptedThreads, new_session, row_of

T = TypeVar("T")
TOKEN_DIGEST = hashlib.sha256(b"token").hexdigest()
SESSION_TIMEOUT_S = 1800.0
BOUNDS = ResumeBounds(window_s=600, session_s=SESSION_TIMEOUT_S)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is stored of a session. segments: (index, text, tail)."""

    state: str
    reason: str
    epoch: int
    committed_bytes: int
    header_bytes: int
    flushed_bytes: int
    gaps: tuple[tuple[int, int], ...]
    segments: tuple[tuple[int, str, bool], ...]


class Bench(ABC):
    store: SessionStore

    async def start(self, public_id: str = "first", principal: Principal = LOCAL, **config: Any) -> SessionHandle:
        """Start a session that can be resumed with `resume()`."""
        return await self.store.create(
            replace(new_session(public_id, principal, **config), resume_token_digest=TOKEN_DIGEST)
        )

    @abstractmethod
    async def facts(self, public_id: str = "first") -> Facts: ...

    @abstractmethod
    async def pass_time(self, seconds: float) -> None: ...

    @abstractmethod
    async def lose_worker(self, public_id: str = "first") -> None: ...

    @abstractmethod
    async def expire(self) -> None: ...

    @abstractmethod
    async def stop(self, public_id: str = "first", reason: str = "") -> None: ...


class DatabaseBench(Bench):
    def __init__(self, threads: ScriptedThreads, *, max_sessions: int, max_sessions_per_owner: int) -> None:
        self.threads = threads
        self.database_store = Store(
            None, threads=threads, max_sessions=max_sessions, max_sessions_per_owner=max_sessions_per_owner
        )
        self.store = self.database_store

    async def facts(self, public_id: str = "first") -> Facts:
        def read() -> Facts:
            row = row_of(public_id)
            rows = list(row.segments.order_by("index").values_list("index", "text", "tail"))
            words = sum(len(text.split()) for _, text, _ in rows)
            assert (row.segment_count, row.word_count) == (len(rows), words)
            assert TranscriptSegment.history.count() == 0
            return Facts(
                row.state,
                row.end_reason,
                row.epoch,
                row.committed_bytes,
                row.header_bytes,
                row.flushed_bytes,
                tuple((start, end) for start, end in row.gaps),
                tuple(rows),
            )

        return await self.run(read)

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """A database function that no script concerns."""
        return await asyncio.to_thread(_run_and_close, function, *args)

    async def pass_time(self, seconds: float) -> None:
        past = timedelta(seconds=seconds)
        await self.run(
            lambda: TranscriptionSession.objects.update(
                started_at=F("started_at") - past,
                detached_at=F("detached_at") - past,
                resume_until=F("resume_until") - past,
            )
        )

    async def lose_worker(self, public_id: str = "first") -> None:
        await self.run(lambda: release_lost({(row_of(public_id).pk, row_of(public_id).epoch)}, BOUNDS))

    async def expire(self) -> None:
        await self.run(expire_detached)

    async def stop(self, public_id: str = "first", reason: str = "") -> None:
        await self.run(lambda: request_stop(row_of(public_id), None, reason))


class MemoryBench(Bench):
    def __init__(self, *, max_sessions: int, max_sessions_per_owner: int) -> None:
        self.clock = Clock()
        self.memory = MemoryStore(
            max_sessions=max_sessions, max_sessions_per_owner=max_sessions_per_owner, clock=self.clock
        )
        self.store = self.memory

    async def facts(self, public_id: str = "first") -> Facts:
        row = self.memory.sessions[public_id]
        return Facts(
            row.state,
            row.end_reason,
            row.epoch,
            row.committed_bytes,
            row.header_bytes,
            row.flushed_bytes,
            tuple(row.gaps),
            tuple((segment.index, segment.text, segment.tail) for segment in (*row.segments, *row.tails)),
        )

    async def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)

    async def lose_worker(self, public_id: str = "first") -> None:
        self.memory.lose_worker(public_id)

    async def expire(self) -> None:
        self.memory.expire()

    async def stop(self, public_id: str = "first", reason: str = "") -> None:
        self.memory.stop(public_id, reason)


def resume(public_id: str = "first", principal: Principal = LOCAL, **changes: Any) -> Resume:
    values: dict[str, Any] = {
        "token_digest": TOKEN_DIGEST,
        "received_segments": 0,
        "held_from": None,
        "client_address": "127.0.0.1",
        "user_agent": "tests",
        "max_age_s": SESSION_TIMEOUT_S,
    }
    return Resume(public_id=public_id, principal=principal, **(values | changes))


def _run_and_close(function: Callable[..., T], *args: Any) -> T:
    try:
        return function(*args)
    finally:
        connection.close()
