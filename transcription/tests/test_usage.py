"""Audio by key and day: counted once, whatever happens to the connection or the process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.db import connection

from transcription.engine.resuming import digest_of
from transcription.identity.principals import LOCAL, Principal
from transcription.limits.usage import count_usage, month_audio_ms, usage_per_day
from transcription.models import ApiKey, TranscriptionSession, UsageDay
from transcription.services import delete_session
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.reaper import ResumeBounds, release_lost
from transcription.storage.steps import Ending, Resume
from transcription.storage.store import Store
from transcription.tests.rows import make_session, make_user, principal_of, principal_of_key
from transcription.tests.sessions import change_row, new_session, row_of, segment, step

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

TOKEN = "resume"
YESTERDAY_TO_TOMORROW = (
    datetime.now(UTC).date() - timedelta(days=1),
    datetime.now(UTC).date() + timedelta(days=2),
)


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads()
    yield threads
    await threads.aclose()


@pytest.fixture
async def store(threads: DatabaseThreads) -> AsyncIterator[Store]:
    store = Store(None, threads=threads, max_sessions=50)
    yield store
    await store.aclose()


def make_key() -> Principal:
    key, _text = ApiKey.create("app")
    return principal_of_key(key)


def used(who: Any) -> tuple[int, int]:
    """Sessions and milliseconds of these days."""
    since, until = YESTERDAY_TO_TOMORROW
    days = usage_per_day(who, since=since, until=until)
    return sum(day.sessions for day in days), sum(day.audio_ms for day in days)


def used_this_month(principal: Principal) -> int:
    assert principal.key_id is not None
    return month_audio_ms([principal.key_id], datetime.now(UTC))[principal.key_id]


async def test_a_session_is_counted_when_it_ends_and_once(store: Store, threads: DatabaseThreads) -> None:
    principal = await threads.run(make_key)
    for name, audio_ms in (("first", 1500), ("second", 500)):
        handle = await store.create(new_session(name, principal))
        assert await threads.run(used, principal) == (0, 0) if name == "first" else (1, 1500)
        for _attempt in range(2):
            await store.finish(handle, Ending("completed", "client", audio_ms=audio_ms, audio_bytes=1))
    assert await threads.run(used, principal) == (2, 2000)


async def test_of_a_session_that_is_resumed_only_what_came_since_is_added(
    store: Store, threads: DatabaseThreads
) -> None:
    principal = await threads.run(make_key)
    handle = await store.create(new_session("mine", principal))
    await store.finish(handle, Ending("detached", "client_lost", audio_ms=1000, audio_bytes=1, resume_within_s=600))
    assert await threads.run(used, principal) == (1, 1000)
    await threads.run(change_row, "mine", resume_token_digest=digest_of(TOKEN))
    taken = await store.take(Resume("mine", principal, digest_of(TOKEN), None, None, None, "", 600))
    await store.finish(taken.handle, Ending("completed", "client", audio_ms=1700, audio_bytes=1))
    assert await threads.run(used, principal) == (1, 1700)


async def test_what_a_killed_process_had_settled_is_counted_by_the_reaper(
    store: Store, threads: DatabaseThreads
) -> None:
    principal = await threads.run(make_key)
    handle = await store.create(new_session("lost", principal))
    await store.commit(step(handle, segment(0), committed_bytes=32_000))
    assert await threads.run(used_this_month, principal) == 1000
    assert await threads.run(release_lost, {(handle.pk, handle.epoch)}, ResumeBounds(600, 1800)) == 1
    assert await threads.run(used, principal) == (1, 1000)
    assert await threads.run(used_this_month, principal) == 1000


async def test_what_is_deleted_stays_counted(store: Store, threads: DatabaseThreads) -> None:
    principal = await threads.run(make_key)
    handle = await store.create(new_session("mine", principal))
    await store.finish(handle, Ending("completed", "client", audio_ms=1000, audio_bytes=1))
    await threads.run(lambda: delete_session(row_of("mine")))
    assert await threads.run(used, principal) == (1, 1000)


def counted(audio_ms: int, **fields: Any) -> TranscriptionSession:
    session = make_session(**fields)
    session.audio_ms = audio_ms
    count_usage(session)
    return session


def test_everybody_sees_their_own_usage() -> None:
    anna, other = make_user(), make_user()
    annas, _text = ApiKey.create("annas", anna)
    nobodys, _text = ApiKey.create("nobodys")
    counted(1, owner=anna)
    counted(10, owner=anna, api_key=annas)
    counted(100, owner=None, api_key=nobodys)
    counted(1000, owner=other)
    counted(10_000, owner=None, api_key=None)
    assert used(anna) == used(principal_of(anna)) == (2, 11)
    assert used(principal_of_key(annas)) == (1, 10)
    assert used(principal_of_key(nobodys)) == (1, 100)
    assert used(Principal("token", key_id=nobodys.pk)) == (1, 100)
    assert used(LOCAL) == (1, 10_000)
    anna.is_active = False
    assert used(anna) == (0, 0)


def test_usage_is_told_by_day_and_key() -> None:
    user = make_user()
    key, _text = ApiKey.create("app", user)
    UsageDay.objects.create(day="2026-02-02", owner=user)
    UsageDay.objects.create(day="2026-02-01", api_key=key)
    UsageDay.objects.create(day="2026-03-01", owner=user)
    days = usage_per_day(user, since=date(2026, 2, 1), until=date(2026, 3, 1))
    assert [(day.day, day.api_key_id, day.owner_id) for day in days] == [
        (date(2026, 2, 1), key.pk, None),
        (date(2026, 2, 2), None, user.pk),
    ]


def test_an_empty_session_is_no_usage() -> None:
    user = make_user()
    session = counted(0, owner=user)
    assert session.metered_ms is None
    assert used(user) == (0, 0)


def test_the_migration_counts_what_had_ended_before_and_leaves_old_keys_their_rights() -> None:
    key, _text = ApiKey.create("old", scopes=["transcribe"])
    user = make_user()
    for day in (1, 1, 2):
        ended_at = datetime(2026, 2, day, 23, 59, tzinfo=UTC)
        make_session(api_key=key, audio_ms=1000, ended_at=ended_at)
        make_session(owner=user, audio_ms=10, ended_at=ended_at)
    make_session(api_key=key, audio_ms=7, ended_at=None, state="detached")
    migration = import_module("transcription.migrations.0010_old_keys_and_usage")
    with connection.schema_editor() as editor:
        migration.count_usage(apps, editor)
        migration.keep_rights(apps, editor)
    found = UsageDay.objects.order_by("-api_key", "day").values_list("api_key", "owner", "day__day", "audio_ms")
    assert set(found) == {
        (key.pk, None, 1, 2000),
        (key.pk, None, 2, 1000),
        (None, user.pk, 1, 20),
        (None, user.pk, 2, 10),
    }
    key.refresh_from_db()
    assert "metrics" in key.scopes
