"""The work of joining: from parts to a file in the storage. For the loop; what takes long is done elsewhere."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import sys
from typing import Any

import structlog
from django.db import close_old_connections
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils import timezone

from speechsite.config import BASE_DIR, Config
from transcription import metrics
from transcription.jobs.kind import Lease, Outcome, retry_s
from transcription.jobs.leases import LeaseLost
from transcription.models import TranscriptionSession
from transcription.recording.joining import NO_ROOM_STATUS, Orders
from transcription.recording.models import SessionRecording
from transcription.recording.parts import Part, PartFolder
from transcription.recording.plan import is_within, missing
from transcription.recording.storage import name_of, put, recordings

log = structlog.get_logger(__name__)

# A writer that lives has written everything within this after the end of its session.
SETTLED_AFTER_S = 30.0
LOOK_AGAIN_AFTER_S = 1.0
NO_ROOM_WAIT_S = 30.0
JOIN_TIMEOUT_S = 1800.0
STORE_TIMEOUT_S = 1800.0
MAX_ATTEMPTS = 8
MAX_ERROR_CHARACTERS = 300

State = SessionRecording.State
SessionState = TranscriptionSession.State


class NoRoom(Exception):
    """The disk is full."""


class JoiningKind:
    """Implements JobKind."""

    name = "recording_join"
    at_once = 1
    grace_s = 5.0
    look_every_s = 0.0

    def __init__(self, config: Config) -> None:
        self._folder = PartFolder.of(config)
        self._kind = config.recording_format

    def rows(self) -> QuerySet[SessionRecording]:
        ended = (SessionState.COMPLETED, SessionState.INTERRUPTED, SessionState.FAILED)
        unjoined = SessionRecording.objects.filter(state=State.RECORDING, session__state__in=ended)
        return unjoined.select_related("session")

    async def work(self, row: SessionRecording, lease: Lease) -> Outcome:
        session: Any = row.session
        parts = await asyncio.to_thread(self._folder.parts, row.folder)
        is_all = _is_all(session, parts)
        age_s = (timezone.now() - (session.ended_at or session.created_at)).total_seconds()
        if not is_all and age_s < SETTLED_AFTER_S:
            return Outcome(due_in_s=LOOK_AGAIN_AFTER_S, is_an_attempt=False)
        audio_format = session.audio_format
        if not audio_format.align(max((part.end for part in parts), default=0)):
            return await self._over(row, lease, State.FAILED, reason="empty")
        orders = Orders(
            str(self._folder.path), row.folder, session.encoding, session.sample_rate_hz, session.channels, self._kind
        )
        try:
            joined = await _joined(orders)
        except NoRoom:
            return Outcome(due_in_s=NO_ROOM_WAIT_S, is_an_attempt=False)
        if joined is None:
            if row.attempts < MAX_ATTEMPTS:
                return Outcome(due_in_s=retry_s(row.attempts))
            return await self._over(row, lease, State.FAILED, reason="not_joined")
        name = name_of(row.folder, row.created_at, joined["kind"])
        # Before it is there: whoever deletes the recording must find it.
        await lease.update(name=name)
        path = self._folder.joined_path(row.folder)
        async with asyncio.timeout(STORE_TIMEOUT_S):
            name = await asyncio.to_thread(put, recordings(), name, path)
        try:
            return await self._stored(row, lease, session, name, joined, is_all=is_all)
        except LeaseLost:
            # It was deleted meanwhile, before this file was there.
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await asyncio.to_thread(_delete_unowned, lease.key, name)
            raise

    async def _stored(
        self, row: SessionRecording, lease: Lease, session: Any, name: str, joined: dict[str, Any], *, is_all: bool
    ) -> Outcome:
        to_ms = session.audio_format.bytes_to_ms
        return await self._over(
            row,
            lease,
            State.COMPLETE if is_all else State.PARTIAL,
            reason="" if is_all else row.reason or "incomplete",
            name=name,
            format=joined["kind"],
            size_bytes=joined["size_bytes"],
            sha256=joined["sha256"],
            duration_ms=joined["duration_ms"] or session.audio_ms,
            reached_bytes=joined["reached_bytes"],
            missing=[[to_ms(start), to_ms(end)] for start, end in joined["missing"]],
            peaks=bytes.fromhex(joined["peaks"]),
            peak_ms=joined["peak_ms"],
        )

    async def _over(self, row: SessionRecording, lease: Lease, state: State, **changes: Any) -> Outcome:
        await lease.update(state=state, finished_at=Now(), needs_repair=False, **changes)
        metrics.RECORDINGS_TOTAL.labels(outcome=state.value).inc()
        log.info("recording_joined", recording=row.folder, state=state.value, reason=changes["reason"])
        if changes["reason"] != "not_joined":
            # Only now: a process that dies in between has lost nothing.
            await asyncio.to_thread(self._folder.delete, row.folder)
        return Outcome()


def _is_all(session: Any, parts: list[Part]) -> bool:
    """Whether everything that the session received is there. What its client no longer had it never received."""
    end = max(session.audio_bytes, session.committed_bytes)
    gaps = [(start, stop) for start, stop in session.gaps]
    return is_within(missing(parts, end), gaps)


def _delete_unowned(key: int, name: str) -> None:
    try:
        if not SessionRecording.objects.filter(pk=key).exists():
            recordings().delete(name)
    finally:
        close_old_connections()


async def _joined(orders: Orders) -> dict[str, Any] | None:
    """What the program that joins says of its file; None, and logged, where it failed. Raises NoRoom."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "transcription.recording.joining",
        json.dumps(dataclasses.asdict(orders)),
        # Nothing of ours is its business.
        env={},
        cwd=BASE_DIR,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(JOIN_TIMEOUT_S):
            said, errors = await process.communicate()
    except TimeoutError:
        said, errors = b"", b"it took too long"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    if process.returncode == NO_ROOM_STATUS:
        log.warning("recording_waits_for_room", folder=orders.folder)
        raise NoRoom
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines() or [""]
        log.warning("recording_not_joined", folder=orders.folder, error=lines[-1][:MAX_ERROR_CHARACTERS])
        return None
    joined: dict[str, Any] = json.loads(said)
    return joined
