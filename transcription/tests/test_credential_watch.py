"""Credentials that are withdrawn end the connections that were opened with them: row 65 of the fault matrix."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db.models.functions import Now

from speechsite.config import get_config
from transcription.console.consumers import ConsoleConsumer
from transcription.errors import TranscriptionError
from transcription.events import Event, Failed, Final, Stopped
from transcription.identity import auth
from transcription.identity.credential_watch import CHECK_EVERY_S, CredentialWatch
from transcription.identity.principals import LOCAL, Principal
from transcription.models import ApiKey, TranscriptionSession, UsageDay
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.store import Store
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SPEECH, final
from transcription.tests.memory_store import MemoryStore
from transcription.tests.rows import make_user, principal_of, principal_of_key
from transcription.tests.sessions import new_session, row_of
from transcription.tests.still_process import StillProcess
from transcription.tests.test_auth import SITE, login_cookie
from transcription.tests.test_console_consumers import event, watching
from transcription.tests.virtual_time import in_virtual_time

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

EVENT_TIMEOUT_S = 20


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads()
    yield threads
    await threads.aclose()


class Connection:
    """What is told of one connection's credentials."""

    def __init__(self, watch: CredentialWatch, principal: Principal, *, uses_minutes: bool = False) -> None:
        self.told: list[str] = []
        self.watched = watch.watch(principal, self._on_lost, uses_minutes=uses_minutes)

    def _on_lost(self, error: TranscriptionError) -> None:
        self.told.append(error.reason)


def revoke(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=Now())


def expire(key: ApiKey) -> None:
    ApiKey.objects.filter(pk=key.pk).update(expires_at=Now() - timedelta(seconds=1))


def close_account(key: ApiKey) -> None:
    assert key.owner is not None
    key.owner.is_active = False
    key.owner.save()


@pytest.mark.parametrize(
    ("withdraw", "reason"),
    [
        (revoke, "key_revoked"),
        (expire, "key_expired"),
        (close_account, "account_closed"),
        (ApiKey.delete, "key_revoked"),
    ],
)
async def test_a_key_that_is_withdrawn_is_lost_once_and_others_are_not(
    threads: DatabaseThreads, withdraw: Any, reason: str
) -> None:
    key, _text = await threads.run(lambda: ApiKey.create("app", make_user()))
    other, _text = await threads.run(ApiKey.create, "other")
    watch = CredentialWatch(threads)
    with_key, with_token = (
        Connection(watch, principal_of_key(key)),
        Connection(watch, Principal("token", user_id=key.owner_id, key_id=key.pk)),
    )
    bystanders = [Connection(watch, principal_of_key(other)), Connection(watch, LOCAL)]
    assert await watch.check() == 0
    await threads.run(withdraw, key)
    assert await watch.check() == 2
    assert await watch.check() == 0
    assert with_key.told == with_token.told == [reason]
    assert [bystander.told for bystander in bystanders] == [[], []]


def log_out(cookie: str, _user: Any) -> None:
    Session.objects.get(pk=cookie).delete()


def run_out(cookie: str, _user: Any) -> None:
    Session.objects.filter(pk=cookie).update(expire_date=datetime(2000, 1, 1, tzinfo=UTC))


def change_password(_cookie: str, user: Any) -> None:
    user.set_password("another one")
    user.save()


@pytest.mark.parametrize("end_login", [log_out, run_out, change_password])
async def test_a_login_that_ends_is_lost_and_another_of_the_same_person_is_not(
    threads: DatabaseThreads, end_login: Any
) -> None:
    user = await threads.run(make_user)
    first, second = [await threads.run(_login, user) for _ in range(2)]
    watch = CredentialWatch(threads)
    ended, other = [
        Connection(watch, Principal("user", user_id=user.pk, label="anna", login=login)) for login in (first, second)
    ]
    assert await watch.check() == 0
    await threads.run(end_login, first, user)
    await watch.check()
    assert ended.told == ["logged_out"]
    assert other.told == ([] if end_login is not change_password else ["logged_out"])


def _login(user: Any) -> str:
    return login_cookie(user).removeprefix(f"{settings.SESSION_COOKIE_NAME}=")


async def test_a_person_whose_account_is_closed_is_lost(threads: DatabaseThreads) -> None:
    user = await threads.run(make_user)
    watch = CredentialWatch(threads)
    connections = [Connection(watch, principal_of(user)), Connection(watch, Principal("token", user_id=user.pk))]
    user.is_active = False
    await threads.run(user.save)
    await watch.check()
    assert [connection.told for connection in connections] == [["account_closed"]] * 2


async def test_who_has_left_is_told_nothing(threads: DatabaseThreads) -> None:
    key, _text = await threads.run(ApiKey.create, "app")
    watch = CredentialWatch(threads)
    connection = Connection(watch, principal_of_key(key))
    connection.watched.leave()
    await threads.run(revoke, key)
    assert await watch.check() == 0
    assert (connection.told, len(watch)) == ([], 0)


async def test_used_up_minutes_of_the_month_end_what_uses_minutes(threads: DatabaseThreads) -> None:
    key, _text = await threads.run(lambda: ApiKey.create("app", monthly_minutes=1))
    watch = CredentialWatch(threads)
    session = Connection(watch, principal_of_key(key), uses_minutes=True)
    viewer = Connection(watch, principal_of_key(key))
    assert await watch.check() == 0
    await threads.run(lambda: UsageDay.objects.create(api_key=key, day=datetime.now(UTC).date(), audio_ms=60_000))
    await watch.check()
    assert (session.told, viewer.told) == (["monthly_minutes"], [])


class AwayThreads(DatabaseThreads):
    """The database does not answer; asked counts how often it was asked."""

    asked = 0

    async def run(self, function: Any, *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Any:
        self.asked += 1
        raise TimeoutError


@in_virtual_time
async def test_it_looks_within_half_a_minute_and_cuts_nobody_off_while_the_database_is_away() -> None:
    threads = AwayThreads()
    watch = CredentialWatch(threads)
    connection = Connection(watch, Principal("key", key_id=1))
    running = asyncio.create_task(watch.run())
    await asyncio.sleep(2.5 * CHECK_EVERY_S)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert (threads.asked, connection.told) == (2, [])
    assert CHECK_EVERY_S <= 30


async def test_row_65_a_session_whose_key_is_revoked_says_its_last_words_and_is_complete(
    threads: DatabaseThreads,
) -> None:
    key, _text = await threads.run(ApiKey.create, "app")
    recogniser = FakeRecogniser(last_words=[final("last words")])
    store = Store(None, threads=threads, max_sessions=5)
    process = StillProcess(get_config(), recogniser=recogniser, store=store)
    told: list[Event] = []
    live = process.transcribe(new_session("mine", principal_of_key(key)), emit=told.append)
    running = asyncio.create_task(process.run(live))
    stream = await recogniser.opened(1)
    live.feed(SPEECH)
    await stream.heard(len(SPEECH))
    await threads.run(revoke, key)
    assert await process.credentials.check() == 1
    async with asyncio.timeout(EVENT_TIMEOUT_S):
        await running
    row = await threads.run(row_of, "mine")
    assert (row.state, row.end_reason) == (TranscriptionSession.State.COMPLETED, "revoked")
    [last_words] = [event.result.text for event in told if isinstance(event, Final)]
    stopped, failed = told[-2:]
    assert isinstance(stopped, Stopped)
    assert isinstance(failed, Failed)
    assert (last_words, stopped.reason) == ("last words", "revoked")
    assert (failed.error.code, failed.error.reason) == (4401, "key_revoked")
    assert len(process.credentials) == 0
    await store.aclose()
    await process.aclose()


async def test_row_65_a_viewer_who_logs_out_is_told_and_closed(threads: DatabaseThreads) -> None:
    process = StillProcess(get_config(), recogniser=FakeRecogniser(), store=MemoryStore())
    cookie = await threads.run(lambda: login_cookie(make_user("view_live")))
    async with watching(process, ConsoleConsumer, cookie=cookie, origin=SITE) as communicator:
        await event(communicator, "snapshot")
        await threads.run(lambda: Session.objects.all().delete())
        assert await process.credentials.check() == 1
        assert (await event(communicator, "error"))["code"] == 4401
        closing = await communicator.receive_output(timeout=EVENT_TIMEOUT_S)
        assert (closing["type"], closing["code"]) == ("websocket.close", 4401)
    assert len(process.credentials) == 0
    await process.aclose()
    await auth.aclose()
