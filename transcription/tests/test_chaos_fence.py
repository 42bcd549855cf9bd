"""The checker notices a store without its fence.

A random run does not show it, for a stale holder seldom expects just the segment that is next. This one does.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest
from django.db import connection

from transcription.errors import TranscriptionError
from transcription.fake_riva.audio import Speech, word_text
from transcription.identity.principals import LOCAL
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.group_commit import commit_group
from transcription.storage.steps import Resume, SessionHandle, Step
from transcription.storage.store import Store
from transcription.tests.chaos.checker import Verdict, check
from transcription.tests.chaos.database import read_sessions
from transcription.tests.chaos.records import ClientRecord
from transcription.tests.sessions import new_session, segment
from transcription.workers import register

FENCE = "s.epoch = v.v_epoch AND "
TOKEN_DIGEST = hashlib.sha256(b"token").hexdigest()
WORDS = tuple(Speech(5).timeline())
SETTLED_BYTES = 32 * (WORDS[-1].end_ms + 400)


def without_fence(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
    return execute(sql.replace(FENCE, ""), params, many, context)


def commit(step: Step, is_fenced: bool) -> list[TranscriptionError | None]:
    """For a database thread: the store's own statement, its fence taken out where asked."""
    with nullcontext() if is_fenced else connection.execute_wrapper(without_fence):
        return commit_group([step])


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads()
    yield threads
    await threads.aclose()


def spoken_step(handle: SessionHandle) -> Step:
    words = [{"word": word_text(word.number), "start_ms": word.start_ms, "end_ms": word.end_ms} for word in WORDS]
    said = segment(0, " ".join(str(word["word"]) for word in words), words=words)
    said = replace(said, start_ms=WORDS[0].start_ms, end_ms=WORDS[-1].end_ms)
    return Step(handle.pk, handle.epoch, 0, (said,), SETTLED_BYTES)


async def interleave(threads: DatabaseThreads, *, is_fenced: bool) -> Verdict:
    """One holder stands still with a final in hand, another takes the session, and the first wakes up."""

    worker_id = uuid.uuid4()
    await threads.run(register, worker_id)
    store = Store(worker_id, threads=threads, max_sessions=10)
    old = await store.create(replace(new_session("my-id"), resume_token_digest=TOKEN_DIGEST))
    held_back = spoken_step(old)

    taken = await store.take(Resume("my-id", LOCAL, TOKEN_DIGEST, 0, None, "127.0.0.1", "tests", 1800.0))
    client = ClientRecord(
        "my-id", words=WORDS, resumed_at=[taken.handle.next_seq], sent_bytes=SETTLED_BYTES, stopped={"reason": "client"}
    )
    [_] = await threads.run(commit, held_back, is_fenced)
    await threads.run(commit, spoken_step(taken.handle), is_fenced)
    await store.aclose()
    stored = await threads.run(read_sessions, ["my-id"])
    return check([client], stored, {word.number for word in WORDS})


async def test_with_the_fence_nothing_is_wrong(threads: DatabaseThreads) -> None:
    verdict = await interleave(threads, is_fenced=True)
    assert (verdict.words, verdict.violations) == (5, [])


async def test_without_the_fence_the_checker_finds_what_the_old_holder_wrote(threads: DatabaseThreads) -> None:
    verdict = await interleave(threads, is_fenced=False)
    assert verdict.rules_broken == {"I3"}
