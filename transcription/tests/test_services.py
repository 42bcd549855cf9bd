from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.contrib.auth import get_user_model
from django.db import connections
from django.utils import timezone

from transcription.errors import SessionTaken, TooFast
from transcription.identity.principals import LOCAL, Principal
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.options import TranscriptionConfig
from transcription.services import (
    CONTROL_GROUP,
    MAX_CREATED_PER_OWNER,
    delete_session,
    request_stop,
    start_session,
)

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

T = TypeVar("T")


class BrokenLayer:
    """A channel layer whose server is away."""

    def __init__(self, **_config: Any) -> None:
        pass

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        raise ConnectionError("no such server")


@pytest.fixture
async def in_thread(transactional_db: None) -> AsyncIterator[Callable[..., Any]]:
    """Run a function as a synchronous view runs under ASGI."""

    async def run(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        return await sync_to_async(function)(*args, **kwargs)

    yield run
    await sync_to_async(connections.close_all)()


@pytest.fixture
def live(transactional_db: None) -> TranscriptionSession:
    return TranscriptionSession.objects.create(public_id="live-one", language="en-US", state="live")


@pytest.fixture
def operator(transactional_db: None) -> Any:
    return get_user_model().objects.create_user("olga")


def test_it_makes_a_session_to_be_started_later() -> None:
    config = TranscriptionConfig(language="de-DE", title="Standup")
    row = start_session(LOCAL, config, "my-id", client_address="::1%lo", user_agent="curl\x00")
    row = TranscriptionSession.objects.get(pk=row.pk)
    assert (row.public_id, row.state, row.epoch) == ("my-id", "created", 0)
    assert (row.language, row.title, row.client_address) == ("de-DE", "Standup", "::1")
    assert row.user_agent == "curl\ufffd"
    assert row.options_asked == {"language": "de-DE", "title": "Standup"}
    assert row.options_applied["keep_audio"] is False


def test_it_makes_up_an_id_that_the_protocol_allows() -> None:
    first, second = (start_session(LOCAL, TranscriptionConfig()) for _ in range(2))
    assert first.public_id != second.public_id
    assert first.public_id.replace("-", "").replace("_", "").isalnum()


def test_it_refuses_an_id_that_exists(live: TranscriptionSession) -> None:
    with pytest.raises(SessionTaken):
        start_session(LOCAL, TranscriptionConfig(), live.public_id)
    assert TranscriptionSession.objects.count() == 1


def test_it_bounds_what_an_owner_makes_and_never_starts(operator: Any) -> None:
    olga = Principal("user", user_id=operator.pk)
    TranscriptionSession.objects.bulk_create(
        TranscriptionSession(public_id=f"m{number}", language="en-US", owner=operator)
        for number in range(MAX_CREATED_PER_OWNER)
    )
    with pytest.raises(TooFast) as refused:
        start_session(olga, TranscriptionConfig())
    assert refused.value.retry_after_ms is not None
    start_session(LOCAL, TranscriptionConfig())


async def test_it_asks_for_a_stop_and_tells_every_process(
    in_thread: Callable[..., Any], live: TranscriptionSession, operator: Any
) -> None:
    layer = get_channel_layer()
    assert layer is not None
    channel = await layer.new_channel()
    await layer.group_add(CONTROL_GROUP, channel)
    assert await in_thread(request_stop, live, operator, "Lunch") is True
    message = await asyncio.wait_for(layer.receive(channel), 30)
    assert message == {"type": "live.stop", "session_id": "live-one"}
    assert (live.stop_reason, live.stop_requested_by_id) == ("Lunch", operator.pk)
    assert live.stop_requested_at is not None


def test_asking_again_keeps_the_first_wish(live: TranscriptionSession, operator: Any) -> None:
    assert request_stop(live, operator, "Lunch")
    first = live.stop_requested_at
    assert request_stop(live, None, "Dinner")
    live.refresh_from_db()
    assert (live.stop_reason, live.stop_requested_at) == ("Lunch", first)


def test_only_a_live_session_can_be_asked_to_stop(live: TranscriptionSession, operator: Any) -> None:
    TranscriptionSession.objects.update(state="completed")
    assert request_stop(live, operator, "Lunch") is False
    assert TranscriptionSession.objects.get().stop_requested_at is None


def test_a_detached_session_is_stopped_at_once(live: TranscriptionSession, operator: Any) -> None:
    detached_at = timezone.now()
    TranscriptionSession.objects.update(state="detached", detached_at=detached_at, resume_until=detached_at)
    assert request_stop(live, operator, "Lunch") is True
    live.refresh_from_db()
    assert (live.state, live.end_reason, live.ended_at) == ("completed", "operator", detached_at)
    assert (live.stop_reason, live.stop_requested_by_id, live.resume_until) == ("Lunch", operator.pk, None)
    assert request_stop(live, operator, "Dinner") is False


def test_it_deletes_a_detached_session(live: TranscriptionSession) -> None:
    TranscriptionSession.objects.update(state="detached")
    delete_session(live)
    assert not TranscriptionSession.objects.exists()


def test_a_stop_is_asked_for_without_the_channel_layer(
    live: TranscriptionSession, operator: Any, settings: Any
) -> None:
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.BrokenLayer"}}
    assert request_stop(live, operator, "x" * 500) is True
    assert len(TranscriptionSession.objects.get().stop_reason) == 300


def test_it_deletes_a_session_with_every_trace_of_its_text(live: TranscriptionSession) -> None:
    other = TranscriptionSession.objects.create(public_id="other", language="en-US", state="completed")
    for session in (live, other):
        for index in range(450):
            TranscriptSegment(
                session=session, index=index, start_ms=0, end_ms=1, asr_text="secret", text="secret"
            ).save()
    TranscriptionSession.objects.update(state="completed")
    delete_session(live)
    assert list(TranscriptionSession.objects.values_list("public_id", flat=True)) == ["other"]
    assert TranscriptSegment.objects.count() == 450
    assert TranscriptSegment.history.count() == 450


def test_it_does_not_delete_a_live_session(live: TranscriptionSession) -> None:
    with pytest.raises(SessionTaken) as refused:
        delete_session(live)
    assert refused.value.reason == "session_live"
    assert TranscriptionSession.objects.exists()
