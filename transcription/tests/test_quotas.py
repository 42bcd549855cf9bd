"""What a key may use: judged where a session becomes live, over all processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from transcription.engine.resuming import digest_of
from transcription.errors import NotAuthenticated, TooFast, TranscriptionError
from transcription.identity.principals import Principal
from transcription.limits.quotas import next_month, over_month
from transcription.models import ApiKey, TranscriptionSession, UsageDay
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.steps import Ending, Resume
from transcription.storage.store import Store
from transcription.tests.rows import make_session, principal_of_key
from transcription.tests.sessions import change_row, new_session, segment, step
from transcription.tests.test_admission import together

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

MINUTE_MS = 60_000
TOKEN = "resume"


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


def make_key(**limits: Any) -> Principal:
    key, _text = ApiKey.create("app", **limits)
    return principal_of_key(key)


async def refusal(store: Store, public_id: str, principal: Principal) -> TranscriptionError:
    with pytest.raises((TooFast, NotAuthenticated)) as refused:
        await store.create(new_session(public_id, principal))
    return refused.value


async def test_a_key_has_no_more_live_sessions_than_it_may(store: Store, threads: DatabaseThreads) -> None:
    principal = await threads.run(make_key, max_sessions=1)
    handle = await store.create(new_session("first", principal))
    error = await refusal(store, "second", principal)
    assert (error.code, error.reason, error.retryable) == (4429, "too_many_sessions", True)
    await store.create(new_session("of another", await threads.run(make_key, max_sessions=1)))
    await store.finish(handle, Ending("completed", "client"))
    await store.create(new_session("second", principal))


async def test_row_60_two_processes_never_let_a_key_have_more_than_its_share(
    threads: DatabaseThreads, store: Store
) -> None:
    await threads.run(lambda: ApiKey.objects.create(pk=1, name="app", prefix="p", digest="d", max_sessions=4))
    answers = await together(["key", "a", "15", "50"], ["key", "b", "15", "50"])
    assert sum(answer["started"] for answer in answers) == 4
    assert {reason for answer in answers for reason in answer["refused"]} == {"too_many_sessions"}


async def test_a_key_starts_no_more_sessions_a_minute_than_it_may_and_is_told_when_it_may(
    store: Store, threads: DatabaseThreads
) -> None:
    principal = await threads.run(make_key, rate_limit=2)
    for number in range(2):
        await store.create(new_session(f"start-{number}", principal))
    await threads.run(change_row, "start-0", started_at=Now() - timedelta(seconds=50))
    error = await refusal(store, "start-2", principal)
    assert error.reason == "rate_limit"
    assert 8000 < (error.retry_after_ms or 0) <= 10_000
    await threads.run(change_row, "start-0", started_at=Now() - timedelta(seconds=61))
    await store.create(new_session("start-2", principal))


async def test_a_key_starts_nothing_once_its_minutes_of_the_month_are_used_up(
    store: Store, threads: DatabaseThreads
) -> None:
    principal = await threads.run(make_key, monthly_minutes=1)
    handle = await store.create(new_session("first", principal))
    await store.finish(handle, Ending("completed", "client", audio_ms=MINUTE_MS - 1, audio_bytes=1))
    await store.create(new_session("second", principal))
    await threads.run(change_row, "second", committed_bytes=32)
    error = await refusal(store, "third", principal)
    assert error.reason == "monthly_minutes"
    now = datetime.now(UTC)
    assert abs((error.retry_after_ms or 0) / 1000 - (next_month(now) - now).total_seconds()) < 60


def test_the_audio_of_other_months_and_keys_does_not_count() -> None:
    key, _text = ApiKey.create("app", monthly_minutes=1)
    other, _text = ApiKey.create("other")
    UsageDay.objects.create(api_key=key, day="2026-01-31", audio_ms=10 * MINUTE_MS)
    UsageDay.objects.create(api_key=other, day="2026-02-01", audio_ms=10 * MINUTE_MS)
    UsageDay.objects.create(api_key=key, day="2026-02-01", audio_ms=MINUTE_MS - 1)
    make_session(api_key=key, state="completed", committed_bytes=1_000_000)
    february = datetime(2026, 2, 28, tzinfo=UTC)
    assert over_month([key], february) == {}
    UsageDay.objects.create(api_key=key, day="2026-02-27", audio_ms=1)
    assert over_month([key], february)[key.pk].retry_after_ms == 24 * 60 * MINUTE_MS
    assert over_month([key], datetime(2026, 1, 1, tzinfo=UTC)).keys() == {key.pk}


@pytest.mark.parametrize(
    ("moment", "then"),
    [
        (datetime(2026, 1, 31, 23, 59, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)),
        (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)),
        (datetime(2026, 12, 31, 12, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
    ],
)
def test_a_month_ends_with_its_last_day_in_utc(moment: datetime, then: datetime) -> None:
    assert next_month(moment) == then


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"revoked_at": Now()}, "key_revoked"),
        ({"expires_at": Now() - timedelta(seconds=1)}, "key_expired"),
    ],
)
async def test_a_key_that_is_not_good_any_more_neither_starts_nor_resumes_a_session(
    store: Store, threads: DatabaseThreads, change: dict[str, Any], reason: str
) -> None:
    principal = await threads.run(make_key)
    handle = await store.create(new_session("mine", principal))
    await store.finish(handle, Ending("detached", "client_lost", resume_within_s=600))
    await threads.run(change_row, "mine", resume_token_digest=digest_of(TOKEN))
    await threads.run(lambda: ApiKey.objects.update(**change))
    assert (await refusal(store, "another", principal)).reason == reason
    with pytest.raises(NotAuthenticated) as refused:
        await store.take(Resume("mine", principal, digest_of(TOKEN), None, None, None, "", 600))
    assert refused.value.reason == reason


async def test_a_token_of_an_account_that_was_closed_since_starts_nothing(
    store: Store, threads: DatabaseThreads
) -> None:
    user = await threads.run(get_user_model().objects.create_user, "anna", is_active=False)
    error = await refusal(store, "late", Principal("token", user_id=user.pk))
    assert error.reason == "account_closed"


async def test_a_resumed_session_takes_a_place_of_its_key_again(store: Store, threads: DatabaseThreads) -> None:
    principal = await threads.run(make_key, max_sessions=1)
    handle = await store.create(new_session("mine", principal))
    await store.commit(step(handle, segment(0), committed_bytes=3200))
    await store.finish(handle, Ending("detached", "client_lost", resume_within_s=600))
    await threads.run(change_row, "mine", resume_token_digest=digest_of(TOKEN))
    await store.create(new_session("another", principal))
    with pytest.raises(TooFast):
        await store.take(Resume("mine", principal, digest_of(TOKEN), None, None, None, "", 600))
    assert await threads.run(TranscriptionSession.objects.filter(state="live").count) == 1
