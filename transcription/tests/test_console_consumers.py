"""Who may watch live sessions, and stop them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from channels.testing import WebsocketCommunicator

from speechsite.config import get_config
from transcription.console.consumers import ConsoleConsumer
from transcription.models import TranscriptionSession
from transcription.tests.rows import make_session, make_user
from transcription.tests.still_process import StillProcess, still_process
from transcription.tests.test_auth import SITE, login_cookie, scope
from transcription.tests.viewer_sockets import ANSWER_S, DeafDatabase, event, refusal, refused, watching

pytestmark = [pytest.mark.django_db(transaction=True)]

LIVE = TranscriptionSession.State.LIVE


@pytest.fixture
async def process(transactional_db: None) -> AsyncIterator[StillProcess]:
    async with still_process() as process:
        yield process


@pytest.fixture
def in_thread(process: StillProcess) -> Callable[..., Awaitable[Any]]:
    return process.threads.run


def logged_in(*permissions: str) -> dict[str, str]:
    return {"cookie": login_cookie(make_user(*permissions)), "origin": SITE}


async def test_who_may_watch_sees_the_live_sessions(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_live")
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        snapshot = await event(communicator, "snapshot")

    assert snapshot["kpis"]["capacity"] == get_config().max_concurrent_sessions


async def test_who_may_not_watch_is_told_so(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_captions")
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        assert await refused(communicator) == 4403


async def test_nobody_watches_without_a_login(process: StillProcess) -> None:
    async with watching(process, ConsoleConsumer) as communicator:
        assert await refused(communicator) == 4401


async def test_a_local_client_without_a_login_is_told_to_log_in(process: StillProcess) -> None:
    async with watching(process, ConsoleConsumer, client="127.0.0.1") as communicator:
        assert await refusal(communicator) == (4401, "Log in to see live sessions.")


async def test_a_foreign_page_is_refused_in_the_handshake(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_live")
    communicator = WebsocketCommunicator(ConsoleConsumer.as_asgi(process_of=lambda: process), "/ws/")
    communicator.scope |= scope(**headers | {"origin": "https://evil.example"})

    accepted, _code = await communicator.connect(timeout=ANSWER_S)

    assert not accepted


@pytest.mark.parametrize(("permissions", "hidden"), [(("view_live", "view_captions"), False), (("view_live",), True)])
async def test_captions_are_for_those_who_may_read_them(
    process: StillProcess, in_thread: Any, permissions: tuple[str, ...], hidden: bool
) -> None:
    headers = await in_thread(logged_in, *permissions)
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        await event(communicator, "snapshot")
        [view] = process.views._views

    assert view.captions is not hidden


async def test_an_operator_stops_a_session_with_a_reason(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_live", "stop_transcriptionsession")
    session = await in_thread(make_session, state=LIVE)
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        await communicator.send_json_to({"type": "stop", "session_id": session.public_id, "reason": "Quiet please"})
        answer = await event(communicator, "stop_requested")

    assert (answer["session_id"], answer["was_live"]) == (session.public_id, True)
    await in_thread(session.refresh_from_db)
    assert session.stop_requested_at is not None
    assert session.stop_reason == "Quiet please"


async def test_a_page_says_which_rows_it_has_in_sight(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_live")
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        await event(communicator, "snapshot")
        await communicator.send_json_to({"type": "in_sight", "session_ids": ["one"]})
        await communicator.send_json_to({"type": "in_sight", "session_ids": "one"})
        answer = await event(communicator, "error")
        [view] = process.views._views
        wanted = view.wants({"one", "two"}, set())

    assert answer["code"] == 4400
    assert "session_ids" in answer["message"]
    assert wanted == {"one"}


async def test_who_may_only_watch_does_not_stop(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_live")
    session = await in_thread(make_session, state=LIVE)
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        await communicator.send_json_to({"type": "stop", "session_id": session.public_id})
        answer = await event(communicator, "error")

    assert answer["code"] == 4403
    await in_thread(session.refresh_from_db)
    assert session.stop_requested_at is None


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 4400),
        ('{"type": "start"}', 4400),
        ("{}", 4400),
        ('{"type": "stop"}', 4404),
        ('{"type": "stop", "session_id": ["a"]}', 4404),
        ('{"type": "stop", "session_id": "no-such-session"}', 4404),
        ('{"type": "stop", "session_id": "' + "x" * 100_000 + '"}', 4400),
    ],
)
async def test_anything_else_is_answered_with_an_error_and_the_view_goes_on(
    process: StillProcess, in_thread: Any, text: str, code: int
) -> None:
    headers = await in_thread(logged_in, "view_live", "stop_transcriptionsession")
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        await communicator.send_to(text_data=text)
        answer = await event(communicator, "error")
        await event(communicator, "kpis")

    assert answer["code"] == code


async def test_a_database_that_does_not_answer_is_told_as_lack_of_capacity(
    process: StillProcess, in_thread: Any
) -> None:
    headers = await in_thread(logged_in, "view_live")
    threads, process.threads = process.threads, DeafDatabase()
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        assert await refused(communicator) == 4503
    process.threads = threads


async def test_who_goes_is_no_longer_watched_for(process: StillProcess, in_thread: Any) -> None:
    headers = await in_thread(logged_in, "view_live")
    async with watching(process, ConsoleConsumer, **headers) as communicator:
        await event(communicator, "snapshot")

    assert not process.views._views
