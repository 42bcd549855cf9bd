"""The jobs of webhooks in the runner: from an end to its delivery, by one process at a time, at no cost while idle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models.functions import Now

from speechsite.config import get_config
from transcription.jobs.runner import Runner
from transcription.storage.database_threads import DatabaseThreads
from transcription.tests.rows import make_session
from transcription.tests.webhook_receiver import Receiver
from transcription.tests.webhook_rows import make_delivery, make_endpoint
from transcription.webhooks.kinds import AnnouncingKind, TidyingKind, webhook_kinds
from transcription.webhooks.models import Chore, SessionEnd, WebhookDelivery
from transcription.webhooks.outbox import note_end

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads(size=1)
    yield threads
    await threads.aclose()


async def run_once() -> int:
    runner = Runner(webhook_kinds(get_config()))
    try:
        return await runner.run_once()
    finally:
        await runner.aclose()


def end_session() -> None:
    session = make_session("hello")
    with transaction.atomic():
        note_end(session)


async def test_an_end_is_announced_and_delivered_in_one_go(threads: DatabaseThreads) -> None:
    with Receiver() as receiver:
        endpoint = await threads.run(make_endpoint, url=receiver.url)
        await threads.run(end_session)
        await run_once()
    events = [received.verify(endpoint.secret)["type"] for received in receiver.received]
    assert sorted(events) == ["segment.final", "session.completed"]
    assert await threads.run(WebhookDelivery.objects.filter(state="delivered").count) == 2


async def test_a_site_without_endpoints_is_left_alone(threads: DatabaseThreads) -> None:
    await threads.run(make_session, "hello", state="live", next_seq=1)
    assert await run_once() == 0
    assert await threads.run(Chore.objects.count) == 0


def test_only_one_process_looks_for_news_at_a_time() -> None:
    make_endpoint()
    end_session()
    assert AnnouncingKind().rows().count() == 1
    Chore.objects.update(due_at=Now() + timedelta(seconds=3))
    assert AnnouncingKind().rows().count() == 0
    assert SessionEnd.objects.count() == 1


def test_where_nothing_is_new_nobody_looks_closer() -> None:
    make_endpoint()
    assert AnnouncingKind().rows().count() == 0
    assert not Chore.objects.exists()


async def test_tidying_goes_on_for_as_long_as_there_are_endpoints(threads: DatabaseThreads) -> None:
    endpoint = await threads.run(make_endpoint, enabled=False)
    delivery = await threads.run(make_delivery, endpoint)
    runner = Runner([TidyingKind(30)])
    assert await runner.run_once() == 1
    await runner.aclose()
    await threads.run(delivery.refresh_from_db)
    assert delivery.state == "failed"
