from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated, SessionTaken
from transcription.identity.principals import LOCAL, Principal
from transcription.identity.tokens import issue_token
from transcription.models import ApiKey, TranscriptionSession, TranscriptSegment
from transcription.options import TranscriptionConfig
from transcription.services import start_session
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.store import Ending, Store
from transcription.tests.sessions import (
    change_row,
    database_url,
    new_session,
    row_of,
    segment,
    step,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads()
    yield threads
    await threads.aclose()


@pytest.fixture
async def store(threads: DatabaseThreads) -> AsyncIterator[Store]:
    store = Store(None, threads=threads, max_sessions=2)
    yield store
    await store.aclose()


@pytest.fixture
async def anna(threads: DatabaseThreads) -> Principal:
    user = await threads.run(get_user_model().objects.create_user, "anna")
    return Principal("user", user_id=user.pk, label="anna")


async def together(*commands: list[str]) -> list[dict[str, Any]]:
    """Run processes of the store; all begin their work once all are ready."""
    environment = os.environ | {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "speechsite.settings"}
    processes = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "transcription.tests.store_process", *command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        for command in commands
    ]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n"
        answers = await asyncio.gather(*(process.communicate(b"go\n") for process in processes))
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()
                await process.wait()
    for _, errors in answers:
        assert b"locked" not in errors
    assert [process.returncode for process in processes] == [0] * len(processes), answers
    return [json.loads(output) for output, _ in answers]


async def test_it_makes_a_live_row_of_what_is_known(store: Store, threads: DatabaseThreads, anna: Principal) -> None:
    config: dict[str, Any] = {
        "language": "de-DE",
        "sample_rate_hertz": 8000,
        "title": "Standup",
        "metadata": {"room": "1"},
    }
    handle = await store.create(new_session("first", anna, **config))
    row = await threads.run(row_of, "first")
    assert (row.state, row.epoch, handle.epoch) == ("live", 1, 1)
    assert (row.owner_id, row.api_key_id, row.client_address) == (anna.user_id, None, "127.0.0.1")
    assert (row.language, row.sample_rate_hz, row.encoding, row.channels) == ("de-DE", 8000, "LINEAR_PCM", 1)
    assert (row.title, row.metadata, row.options_asked) == ("Standup", {"room": "1"}, config)
    assert row.options_applied == TranscriptionConfig(**config).as_applied().model_dump(mode="json")
    assert row.started_at is not None
    assert handle.created_at == row.created_at


async def test_it_refuses_more_than_the_site_takes_and_frees_the_place_at_the_end(store: Store) -> None:
    first = await store.create(new_session("s1"))
    await store.create(new_session("s2"))
    with pytest.raises(AtCapacity) as refused:
        await store.create(new_session("s3"))
    assert refused.value.reason == "at_capacity"
    assert refused.value.retry_after_ms is not None
    await store.finish(first, Ending("completed", "client"))
    await store.create(new_session("s3"))


async def test_a_refused_start_leaves_no_row(store: Store, threads: DatabaseThreads) -> None:
    for name in ("s1", "s2"):
        await store.create(new_session(name))
    with pytest.raises(AtCapacity):
        await store.create(new_session("s3"))
    assert not await threads.run(TranscriptionSession.objects.filter(public_id="s3").exists)


async def test_sessions_that_are_only_made_take_no_place(
    store: Store, threads: DatabaseThreads, anna: Principal
) -> None:
    for name in ("m1", "m2", "m3"):
        await threads.run(start_session, anna, TranscriptionConfig(), name)
    await store.create(new_session("s1"))


async def test_its_owner_takes_over_a_made_session(store: Store, threads: DatabaseThreads, anna: Principal) -> None:
    made = await threads.run(start_session, anna, TranscriptionConfig(title="Made"), "made")
    handle = await store.create(new_session("made", anna))
    row = await threads.run(row_of, "made")
    assert (handle.pk, row.state, row.created_at) == (made.pk, "live", made.created_at)


@pytest.mark.parametrize("kind", ["local", "user", "key"])
async def test_nobody_else_takes_over_a_made_session(
    store: Store, threads: DatabaseThreads, anna: Principal, kind: Any
) -> None:
    await threads.run(start_session, anna, TranscriptionConfig(), "made")
    key, _ = await threads.run(ApiKey.create, "app")
    other = {
        "local": Principal("local"),
        "user": Principal("user", user_id=(anna.user_id or 0) + 1),
        "key": Principal("key", key_id=key.pk),
    }[kind]
    with pytest.raises(SessionTaken):
        await store.create(new_session("made", other))
    assert (await threads.run(row_of, "made")).state == "created"


async def test_a_session_that_failed_before_any_audio_may_be_started_again(
    store: Store, threads: DatabaseThreads, anna: Principal
) -> None:
    first = await store.create(new_session("again", anna))
    await store.finish(first, Ending("failed", "recogniser_failed", "No."))
    second = await store.create(new_session("again", anna))
    row = await threads.run(row_of, "again")
    assert (second.epoch, row.state, row.end_reason, row.ended_at) == (first.epoch + 1, "live", "", None)


async def test_a_session_that_failed_is_not_started_again_by_others_or_after_audio(
    store: Store, threads: DatabaseThreads, anna: Principal
) -> None:
    handle = await store.create(new_session("again", anna))
    await store.finish(handle, Ending("failed", "recogniser_failed", audio_bytes=3200))
    with pytest.raises(SessionTaken):
        await store.create(new_session("again", anna))
    await threads.run(change_row, "again", audio_bytes=0)
    with pytest.raises(SessionTaken):
        await store.create(new_session("again"))


@pytest.mark.parametrize("state", ["live", "detached", "completed", "interrupted"])
async def test_any_other_existing_id_is_taken(
    store: Store, threads: DatabaseThreads, anna: Principal, state: str
) -> None:
    await store.create(new_session("taken", anna))
    await threads.run(change_row, "taken", state=state)
    with pytest.raises(SessionTaken):
        await store.create(new_session("taken", anna))


async def test_a_token_starts_its_own_session_once(store: Store, threads: DatabaseThreads, anna: Principal) -> None:
    await threads.run(start_session, anna, TranscriptionConfig(), "made")
    token = Principal("token", user_id=anna.user_id, session_id="made")
    with pytest.raises(NotAllowed):
        await store.create(new_session("another", token))
    await store.create(new_session("made", token))
    with pytest.raises(NotAuthenticated) as refused:
        await store.create(new_session("made", token))
    assert refused.value.reason == "token_used"


async def test_two_processes_never_let_in_more_than_there_are_places(threads: DatabaseThreads, store: Store) -> None:
    answers = await together(["start", "a", "15", "12"], ["start", "b", "15", "12"])
    assert sum(answer["started"] for answer in answers) == 12
    assert {reason for answer in answers for reason in answer["refused"]} == {"at_capacity"}
    assert await threads.run(TranscriptionSession.objects.filter(state="live").count) == 12


async def test_row_60_two_processes_never_let_an_owner_have_more_than_its_share(
    threads: DatabaseThreads, store: Store
) -> None:
    await threads.run(get_user_model().objects.create_user, "anna", pk=1)
    answers = await together(["anna", "a", "15", "50", "5"], ["anna", "b", "15", "50", "5"])
    assert sum(answer["started"] for answer in answers) == 5
    assert {reason for answer in answers for reason in answer["refused"]} == {"too_many_sessions"}


async def test_row_66_of_two_processes_one_redeems_each_of_a_hundred_tokens(
    threads: DatabaseThreads, store: Store
) -> None:
    issued = [await threads.run(issue_token, LOCAL) for _ in range(100)]
    tokens = ",".join(text for text, _ends in issued)
    one, other = await together(["tokens", tokens, "0", "9"], ["tokens", tokens, "0", "9"])
    assert [mine + theirs for mine, theirs in zip(one["won"], other["won"], strict=True)] == [1] * 100
    assert {*one["refused"], *other["refused"]} == {"token_used"}


async def test_of_two_processes_one_starts_an_id(threads: DatabaseThreads, store: Store) -> None:
    answers = await together(["one", "same", "20", "12"], ["one", "same", "20", "12"])
    assert sum(answer["started"] for answer in answers) == 1
    assert {reason for answer in answers for reason in answer["refused"]} == {"session_taken"}


async def test_writers_of_several_processes_never_find_the_database_locked(
    threads: DatabaseThreads, store: Store
) -> None:
    """With a third writer, this process, that corrects texts meanwhile."""
    handle = await store.create(new_session("third"))
    await store.commit(step(handle, segment(0)))
    done = asyncio.Event()

    def correct(text: str) -> None:
        with transaction.atomic():
            stored = TranscriptSegment.objects.get(session_id=handle.pk, index=0)
            stored.text = text
            stored.save()

    async def correct_until_done() -> int:
        count = 0
        while not done.is_set():
            await threads.run(correct, f"correction {count}")
            count += 1
        return count

    corrections = asyncio.create_task(correct_until_done())
    answers = await together(["write", "a", "40", "50"], ["write", "b", "40", "50"])
    done.set()
    assert await corrections > 0
    assert [answer["retries"] for answer in answers] == [0, 0]
    assert await threads.run(TranscriptSegment.objects.count) == 2 * 5 * 40 + 1
