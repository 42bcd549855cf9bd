"""The socket of a subscription: who may have one, what it tells, how it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from django.utils import timezone

from transcription.identity.scopes import Scope
from transcription.identity.tokens import issue_token
from transcription.models import ApiKey, TranscriptionSession, TranscriptSegment
from transcription.services import delete_session
from transcription.subscriptions.consumer import SubscriptionConsumer
from transcription.tests.rows import add_segments, make_session, make_user, principal_of_key
from transcription.tests.still_process import StillProcess, still_process
from transcription.tests.test_auth import SITE, login_cookie, scope
from transcription.tests.viewer_sockets import ANSWER_S, DeafDatabase, closed, event, refusal, refused, watching

pytestmark = [pytest.mark.django_db(transaction=True)]

State = TranscriptionSession.State
InThread = Callable[..., Awaitable[Any]]


@pytest.fixture
async def process(transactional_db: None) -> AsyncIterator[StillProcess]:
    async with still_process() as process:
        yield process


@pytest.fixture
def in_thread(process: StillProcess) -> InThread:
    return process.threads.run


def make_key(**fields: Any) -> tuple[ApiKey, dict[str, str]]:
    """A key, and the header that carries it."""
    key, text = ApiKey.create("app", **fields)
    return key, {"authorization": f"Bearer {text}"}


def subscribed(process: StillProcess, session: TranscriptionSession, query: str = "", **headers: Any) -> Any:
    return watching(process, SubscriptionConsumer, session.public_id, query=query, **headers)


# Who may


async def test_a_key_subscribes_to_a_session_made_with_it(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", "one", api_key=key, state=State.LIVE, title="A talk")
    async with subscribed(process, session, **headers) as subscriber:
        snapshot = await event(subscriber, "snapshot")

    assert (snapshot["seq"], snapshot["state"], snapshot["session"]["title"]) == (0, "live", "A talk")
    assert [each["text"] for each in snapshot["segments"]] == ["zero", "one"]


async def test_a_browser_brings_its_token_as_a_subprotocol(process: StillProcess, in_thread: InThread) -> None:
    key, _ = await in_thread(make_key)
    session = await in_thread(make_session, "zero", api_key=key, state=State.LIVE)
    token, _ = await in_thread(issue_token, principal_of_key(key), scopes={Scope.SESSIONS_READ})
    offered = ("speech.v1", f"speech.token.{token}")
    async with subscribed(process, session, subprotocols=offered, origin="https://elsewhere.example") as subscriber:
        assert (await event(subscriber, "snapshot"))["segment_count"] == 1


async def test_a_login_subscribes_to_its_own(process: StillProcess, in_thread: InThread) -> None:
    user = await in_thread(make_user)
    headers = {"cookie": await in_thread(login_cookie, user), "origin": SITE}
    session = await in_thread(make_session, "zero", owner=user, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        assert (await event(subscriber, "snapshot"))["segment_count"] == 1


async def test_a_session_of_another_key_and_one_that_is_not_there_get_the_same_answer(
    process: StillProcess, in_thread: InThread
) -> None:
    _, headers = await in_thread(make_key)
    session = await in_thread(make_session, "secret", api_key=(await in_thread(make_key))[0], state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        theirs = await subscriber.receive_from(timeout=10)
        assert await closed(subscriber) == 4404
    async with watching(process, SubscriptionConsumer, "no-such-session", **headers) as subscriber:
        nobodys = await subscriber.receive_from(timeout=10)
        assert await closed(subscriber) == 4404

    assert theirs == nobodys


async def test_a_session_whose_text_one_may_not_read_is_not_told(process: StillProcess, in_thread: InThread) -> None:
    headers = {"cookie": await in_thread(lambda: login_cookie(make_user("view_live"))), "origin": SITE}
    session = await in_thread(make_session, "secret", state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        assert await refused(subscriber) == 4403


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer spk_00000000_x"}], ids=["none", "wrong"])
async def test_nobody_subscribes_without_credentials(
    process: StillProcess, in_thread: InThread, headers: dict[str, str]
) -> None:
    session = await in_thread(make_session, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        assert await refused(subscriber) == 4401


async def test_a_key_that_may_only_stream_does_not_subscribe(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key, scopes=[Scope.TRANSCRIBE])
    session = await in_thread(make_session, "zero", api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        error = await event(subscriber, "error")
        assert await closed(subscriber) == 4403

    assert (error["reason"], "sessions:read" in error["message"]) == ("scope_missing", True)


async def test_a_key_that_is_deleted_ends_its_subscriptions(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        await in_thread(key.delete)
        assert await process.credentials.check() == 1
        assert await refused(subscriber) == 4401
    assert len(process.credentials) == 0


async def test_a_permission_that_is_withdrawn_ends_a_subscription(process: StillProcess, in_thread: InThread) -> None:
    user = await in_thread(make_user, "view_captions")
    headers = {"cookie": await in_thread(login_cookie, user), "origin": SITE}
    session = await in_thread(make_session, "zero", state=State.LIVE)
    async with subscribed(process, session, settings={"recheck_every_s": 0.05}, **headers) as subscriber:
        await event(subscriber, "snapshot")
        await in_thread(user.user_permissions.clear)
        assert await refused(subscriber) == 4404


# What is told


async def test_a_session_that_is_over_is_told_whole_and_closed(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", api_key=key, end_reason="client", ended_at=timezone.now())
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        ended = await event(subscriber, "ended")
        assert await closed(subscriber) == 1000

    assert (ended["seq"], ended["state"], ended["end_reason"]) == (1, "completed", "client")
    assert ended["session"]["session_id"] == session.public_id


async def test_a_session_is_followed_from_before_it_starts_to_its_end(
    process: StillProcess, in_thread: InThread
) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, api_key=key, state=State.CREATED)
    async with subscribed(process, session, **headers) as subscriber:
        created = await event(subscriber, "snapshot")
        await in_thread(TranscriptionSession.objects.filter(pk=session.pk).update, state=State.LIVE)
        live = await event(subscriber, "status")
        await in_thread(add_segments, session, "zero")
        segment = await event(subscriber, "segment")
        await in_thread(TranscriptionSession.objects.filter(pk=session.pk).update, state=State.COMPLETED)
        ended = await event(subscriber, "ended")
        assert await closed(subscriber) == 1000

    assert (created["state"], live["state"], segment["text"]) == ("created", "live", "zero")
    assert [message["seq"] for message in (created, live, segment, ended)] == [0, 1, 2, 3]


async def test_only_what_is_missing_is_sent_to_who_comes_back(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", "one", "two", api_key=key, state=State.LIVE)
    async with subscribed(process, session, "after=0", **headers) as subscriber:
        snapshot = await event(subscriber, "snapshot")

    assert [each["text"] for each in snapshot["segments"]] == ["one", "two"]


async def test_a_long_session_comes_whole_to_who_wants_all_of_it(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    texts = [f"segment {index}" for index in range(250)]
    session = await in_thread(make_session, *texts, api_key=key)
    async with subscribed(process, session, "after=-1", **headers) as subscriber:
        messages: list[dict[str, Any]] = []
        while not messages or messages[-1]["event"] != "ended":
            messages.append(json.loads(await subscriber.receive_from(timeout=10)))

    told = [*messages[0]["segments"], *(message for message in messages if message["event"] == "segment")]
    assert [each["text"] for each in told] == texts
    assert [message["seq"] for message in messages] == list(range(len(messages)))


async def test_words_that_were_cut_off_are_withdrawn(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", "and", api_key=key, state=State.DETACHED)
    segments = TranscriptSegment.objects.filter(session=session)
    await in_thread(segments.filter(index=1).update, tail=True)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        await in_thread(segments.filter(index=1).delete)
        revised = await event(subscriber, "revised")

    assert revised["from_segment"] == 1


async def test_words_and_corrections_are_told(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "helo", api_key=key, state=State.LIVE)
    word = {"word": "helo", "start_ms": 0, "end_ms": 400, "confidence": None, "speaker": None}
    await in_thread(TranscriptSegment.objects.filter(session=session).update, text="hello", words=[word])
    async with subscribed(process, session, "words=true", **headers) as subscriber:
        [segment] = (await event(subscriber, "snapshot"))["segments"]

    assert (segment["text"], segment["asr_text"], segment["words"]) == ("hello", "helo", [word])


async def test_a_session_that_is_deleted_is_told_as_such(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", api_key=key, state=State.DETACHED)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        await in_thread(delete_session, session)
        ended = await event(subscriber, "ended")
        assert await closed(subscriber) == 1000

    assert ended["state"] in ("deleted", "interrupted")


# What is refused


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("after=x", "after"),
        ("after=-2", "after"),
        ("after=", "after"),
        ("after=99999999999999999999", "after"),
        ("words=perhaps", "words"),
        ("token=secret", "token"),
        ("x" * 2000, None),
        ("&".join(f"after={number}" for number in range(50)), None),
    ],
)
async def test_a_query_that_makes_no_sense_is_refused_by_name(
    process: StillProcess, in_thread: InThread, query: str, field: str | None
) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, api_key=key, state=State.LIVE)
    async with subscribed(process, session, query, **headers) as subscriber:
        error = await event(subscriber, "error")
        assert await closed(subscriber) == 4400

    assert (error["code"], error["field"]) == (4400, field)
    assert "secret" not in json.dumps(error)


@pytest.mark.parametrize("session_id", ["", "a b", "%00", "x" * 65, "ä"])
async def test_what_cannot_be_an_id_is_not_there(process: StillProcess, in_thread: InThread, session_id: str) -> None:
    _, headers = await in_thread(make_key)
    async with watching(process, SubscriptionConsumer, session_id, **headers) as subscriber:
        assert await refused(subscriber) == 4404


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"type":"stop_transcription"}', "x" * 10_000])
async def test_a_subscriber_has_nothing_to_say(process: StillProcess, in_thread: InThread, text: str) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        await subscriber.send_to(text_data=text)
        assert await refused(subscriber) == 4400


async def test_a_keepalive_is_heard_in_silence(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        await subscriber.send_to(text_data='{"type": "keepalive"}')
        await in_thread(add_segments, session, "zero")
        assert (await event(subscriber, "segment"))["text"] == "zero"


async def test_a_flood_of_keepalives_is_refused(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        for _ in range(200):
            await subscriber.send_to(text_data='{"type": "keepalive"}')
        assert await refused(subscriber) == 4429


async def test_an_owner_has_a_bounded_number_of_subscriptions(transactional_db: None) -> None:
    async with still_process(max_subscriptions_per_owner=2) as process:
        key, headers = await process.threads.run(make_key)
        session = await process.threads.run(make_session, api_key=key, state=State.LIVE)
        async with subscribed(process, session, **headers) as first, subscribed(process, session, **headers) as second:
            for subscriber in (first, second):
                await event(subscriber, "snapshot")
            async with subscribed(process, session, **headers) as third:
                error = await event(third, "error")
        assert (error["code"], error["reason"]) == (4429, "too_many_subscriptions")
        assert error["retry_after_ms"] > 0
        async with subscribed(process, session, **headers) as again:
            await event(again, "snapshot")
        assert len(process.subscription_places) == 0


async def test_a_session_has_a_bounded_number_of_subscribers(transactional_db: None) -> None:
    async with still_process(max_subscriptions_per_session=1) as process:
        user = await process.threads.run(make_user)
        headers = {"cookie": await process.threads.run(login_cookie, user), "origin": SITE}
        key, others = await process.threads.run(make_key)
        session = await process.threads.run(make_session, api_key=key, owner=user, state=State.LIVE)
        async with subscribed(process, session, **headers) as first:
            await event(first, "snapshot")
            async with subscribed(process, session, **others) as second:
                assert await refused(second) == 4429


# How it ends


async def test_who_takes_nothing_is_closed(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", api_key=key, state=State.LIVE)
    sent: list[dict[str, Any]] = []
    has_closed = asyncio.Event()
    connection = iter(["websocket.connect"])

    async def receive() -> dict[str, Any]:
        for kind in connection:
            return {"type": kind}
        await has_closed.wait()
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "websocket.send":
            await asyncio.Event().wait()
        sent.append(message)
        if message["type"] == "websocket.close":
            has_closed.set()

    application: Any = SubscriptionConsumer.as_asgi(process_of=lambda: process, stuck_s=0.05)
    route = {"url_route": {"kwargs": {"session_id": session.public_id}}, "query_string": b""}
    async with asyncio.timeout(ANSWER_S):
        await application(scope(**headers) | route, receive, send)

    assert [message.get("code") for message in sent] == [None, 4408]
    assert (len(process.viewers), len(process.views._watched)) == (0, 0)


async def test_a_server_that_is_updated_sends_its_subscribers_elsewhere(
    process: StillProcess, in_thread: InThread
) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, "zero", api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")
        draining = asyncio.create_task(process.drain())
        error = await event(subscriber, "error")
        assert await closed(subscriber) == 4503
        await draining

    assert (error["reason"], error["retryable"]) == ("draining", True)
    assert len(process.viewers) == 0


async def test_a_database_that_does_not_answer_is_told_as_lack_of_capacity(
    process: StillProcess, in_thread: InThread
) -> None:
    _, headers = await in_thread(make_key)
    session = await in_thread(make_session, state=State.LIVE)
    threads, process.threads = process.threads, DeafDatabase()
    async with subscribed(process, session, **headers) as subscriber:
        assert (await refusal(subscriber))[0] == 4503
    process.threads = threads


async def test_who_goes_leaves_nothing_behind(process: StillProcess, in_thread: InThread) -> None:
    key, headers = await in_thread(make_key)
    session = await in_thread(make_session, api_key=key, state=State.LIVE)
    async with subscribed(process, session, **headers) as subscriber:
        await event(subscriber, "snapshot")

    assert (len(process.viewers), len(process.subscription_places), len(process.views._watched)) == (0, 0, 0)
