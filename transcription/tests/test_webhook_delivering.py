"""Deliveries that are due are sent, tried again, given up; endpoints that fail for good are disabled."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import DurationField, ExpressionWrapper, F
from django.db.models.functions import Now
from django.test import override_settings
from standardwebhooks import WebhookVerificationError

from transcription.jobs.kind import JobKind
from transcription.jobs.runner import Runner
from transcription.storage.database_threads import DatabaseThreads
from transcription.tests.rows import make_session, make_user
from transcription.tests.webhook_receiver import Receiver, Reply
from transcription.tests.webhook_rows import make_delivery, make_endpoint
from transcription.webhooks import endpoints
from transcription.webhooks.addresses import AddressRules
from transcription.webhooks.delivering import DeliveryKind
from transcription.webhooks.models import WebhookDelivery, WebhookEndpoint
from transcription.webhooks.queue import AT_ONCE_PER_ENDPOINT, next_deliveries, send_again
from transcription.webhooks.schedule import MAX_ATTEMPTS
from transcription.webhooks.sender import Sender, Timeouts
from transcription.webhooks.targets import TargetRules

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

RULES = TargetRules(allows_http=True, addresses=AddressRules(["127.0.0.0/8"]))


def kind(timeouts: Timeouts | None = None) -> DeliveryKind:
    return DeliveryKind(lambda: Sender(RULES, user_agent="test", timeouts=timeouts))


async def run(*kinds: JobKind) -> int:
    """Do what is due, to the end. Returns how many attempts were made."""
    runner = Runner(kinds or [kind()])
    try:
        return await runner.run_once()
    finally:
        await runner.aclose()


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[DatabaseThreads]:
    threads = DatabaseThreads(size=1)
    yield threads
    await threads.aclose()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


async def read(threads: DatabaseThreads, row: Any) -> Any:
    await threads.run(row.refresh_from_db)
    return row


async def due_in_s(threads: DatabaseThreads, delivery: WebhookDelivery) -> float | None:
    """When it is due, from now, by the database's clock."""
    pause = ExpressionWrapper(F("due_at") - Now(), output_field=DurationField())
    query = WebhookDelivery.objects.filter(pk=delivery.pk).annotate(pause=pause)
    found: timedelta | None = await threads.run(lambda: query.values_list("pause", flat=True).get())
    return None if found is None else found.total_seconds()


async def test_a_delivery_is_sent_signed_and_noted(threads: DatabaseThreads, receiver: Receiver) -> None:
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint)
    assert await run() == 1
    (received,) = receiver.received
    assert received.event_id == delivery.event_id
    assert received.body.decode() == delivery.body
    assert received.verify(endpoint.secret)["type"] == "session.completed"
    await read(threads, delivery)
    assert (delivery.state, delivery.attempts, delivery.due_at) == ("delivered", 1, None)
    assert (delivery.response_status, delivery.error) == (204, "")
    assert delivery.delivered_at is not None
    assert (await read(threads, endpoint)).delivered_at is not None


async def test_a_failure_is_tried_again_later_with_the_same_id(threads: DatabaseThreads, receiver: Receiver) -> None:
    receiver.replies.append(Reply(500, b"out of order"))
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint)
    await run()
    await read(threads, delivery)
    assert (delivery.state, delivery.error, delivery.response_status) == ("pending", "status", 500)
    assert delivery.response_excerpt == "out of order"
    assert 25 <= (await due_in_s(threads, delivery) or 0) <= 36
    assert (await read(threads, endpoint)).failing_since is not None
    assert await run() == 0
    await threads.run(WebhookDelivery.objects.filter(pk=delivery.pk).update, due_at=Now())
    await run()
    assert {received.event_id for received in receiver.received} == {delivery.event_id}
    assert len(receiver.received) == 2
    assert (await read(threads, delivery)).state == "delivered"
    assert (await read(threads, endpoint)).failing_since is None


async def test_the_receivers_wish_for_a_longer_pause_is_respected(threads: DatabaseThreads, receiver: Receiver) -> None:
    receiver.replies.append(Reply(429, headers={"retry-after": "3000"}))
    delivery = await threads.run(make_delivery, await threads.run(make_endpoint, url=receiver.url))
    await run()
    assert 2900 <= (await due_in_s(threads, delivery) or 0) <= 3000


async def test_after_the_last_attempt_it_is_given_up_and_the_endpoint_goes_on(
    threads: DatabaseThreads, receiver: Receiver
) -> None:
    receiver.replies.append(Reply(503))
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint, attempts=MAX_ATTEMPTS - 1)
    await run()
    await read(threads, delivery)
    assert (delivery.state, delivery.attempts, delivery.due_at) == ("failed", MAX_ATTEMPTS, None)
    assert (await read(threads, endpoint)).enabled


async def test_an_endpoint_that_nothing_reached_for_days_is_disabled_and_says_why(
    threads: DatabaseThreads, receiver: Receiver
) -> None:
    receiver.replies.extend((Reply(503), Reply(503)))
    endpoint = await threads.run(make_endpoint, url=receiver.url, failing_since=Now() - timedelta(days=6))
    await threads.run(make_delivery, endpoint)
    await run()
    assert (await read(threads, endpoint)).enabled, "one more failure is not enough"
    await threads.run(make_delivery, endpoint, attempts=MAX_ATTEMPTS - 1)
    await run()
    await read(threads, endpoint)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "failing")
    assert endpoint.disabled_at is not None


async def test_410_disables_the_endpoint_at_once(threads: DatabaseThreads, receiver: Receiver) -> None:
    receiver.replies.append(Reply(410))
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint)
    await run()
    assert (await read(threads, delivery)).state == "failed"
    await read(threads, endpoint)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "gone")
    await threads.run(make_delivery, endpoint)
    assert await run() == 0


async def test_nothing_is_signed_with_a_secret_that_nobody_knows(threads: DatabaseThreads, receiver: Receiver) -> None:
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint)
    with override_settings(SECRET_KEY="another key of at least so many characters"):
        await run()
    assert receiver.received == []
    assert (await read(threads, delivery)).state == "failed"
    await read(threads, endpoint)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, "secret")


async def test_a_rotated_secret_signs_beside_the_old_one_for_a_while(
    threads: DatabaseThreads, receiver: Receiver
) -> None:
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    old = endpoint.secret
    await threads.run(endpoints.rotate_secret, endpoint)
    new = endpoint.secret
    await threads.run(make_delivery, endpoint)
    await run()
    for secret in (old, new):
        receiver.received[-1].verify(secret)
    await threads.run(WebhookEndpoint.objects.filter(pk=endpoint.pk).update, previous_until=Now())
    await threads.run(make_delivery, endpoint)
    await run()
    receiver.received[-1].verify(new)
    with pytest.raises(WebhookVerificationError):
        receiver.received[-1].verify(old)


async def test_a_secret_that_leaked_ends_at_once(threads: DatabaseThreads, receiver: Receiver) -> None:
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    old = endpoint.secret
    await threads.run(endpoints.rotate_secret, endpoint, 0)
    await threads.run(make_delivery, endpoint)
    await run()
    with pytest.raises(WebhookVerificationError):
        receiver.received[-1].verify(old)


async def test_an_endpoint_that_hangs_delays_no_other(threads: DatabaseThreads) -> None:
    """All of the slow one's attempts hang until everything of the other has arrived."""
    others_are_in = threading.Event()
    waiting = 12
    with Receiver(*(Reply(hold=others_are_in) for _ in range(waiting))) as slow, Receiver() as quick:
        slow_one = await threads.run(make_endpoint, url=slow.url)
        quick_one = await threads.run(make_endpoint, url=quick.url)
        for _ in range(waiting):
            await threads.run(make_delivery, slow_one)
        for _ in range(waiting):
            await threads.run(make_delivery, quick_one)
        runner = Runner([kind()])
        runner.start()
        try:
            await threads.run(quick.wait_for, lambda received: len(received) == waiting)
            assert len(slow.received) <= AT_ONCE_PER_ENDPOINT
            others_are_in.set()
            await threads.run(slow.wait_for, lambda received: len(received) == waiting)
        finally:
            others_are_in.set()
            await runner.aclose()


@pytest.mark.parametrize(
    ("failing_since", "at_once"), [(None, AT_ONCE_PER_ENDPOINT), (Now(), 1)], ids=["well", "failing"]
)
def test_of_one_endpoint_a_few_are_taken_at_a_time_and_of_a_failing_one_one(failing_since: Any, at_once: int) -> None:
    endpoint = make_endpoint(failing_since=failing_since)
    made = [make_delivery(endpoint) for _ in range(9)]
    other = make_delivery(make_endpoint())
    chosen = set(next_deliveries(failing_at_once=5).values_list("pk", flat=True))
    assert chosen == {delivery.pk for delivery in made[:at_once]} | {other.pk}


def test_what_is_being_sent_counts() -> None:
    endpoint = make_endpoint()
    made = [make_delivery(endpoint) for _ in range(9)]
    busy = WebhookDelivery.objects.filter(pk__in=[delivery.pk for delivery in made[:3]])
    busy.update(lease_until=Now() + timedelta(seconds=30))
    free = next_deliveries(failing_at_once=5).filter(lease_until=None)
    assert [delivery.pk for delivery in free] == [made[3].pk]


def test_many_endpoints_that_fail_leave_room_for_those_that_do_not() -> None:
    for _ in range(5):
        make_delivery(make_endpoint(failing_since=Now()))
    well = make_delivery(make_endpoint())
    chosen = set(next_deliveries(failing_at_once=2).values_list("pk", flat=True))
    assert well.pk in chosen
    assert len(chosen) == 3
    assert set(next_deliveries(failing_at_once=0).values_list("pk", flat=True)) == {well.pk}


def test_nothing_is_sent_for_an_account_that_was_closed() -> None:
    user = make_user()
    make_delivery(make_endpoint(owner=user))
    assert next_deliveries(failing_at_once=5).count() == 1
    user.is_active = False
    user.save()
    assert next_deliveries(failing_at_once=5).count() == 0


async def test_what_was_delivered_can_be_sent_again_with_its_id(threads: DatabaseThreads, receiver: Receiver) -> None:
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint)
    await run()
    assert await threads.run(send_again, WebhookDelivery.objects.filter(pk=delivery.pk)) == 1
    assert (await read(threads, delivery)).state == "pending"
    await run()
    assert [received.event_id for received in receiver.received] == [delivery.event_id] * 2
    assert (await read(threads, delivery)).attempts == 1


def test_what_is_being_sent_or_has_a_disabled_endpoint_is_not_sent_again() -> None:
    endpoint = make_endpoint()
    busy = make_delivery(endpoint, lease_until=Now() + timedelta(seconds=30))
    off = make_delivery(make_endpoint(enabled=False), state="failed", due_at=None)
    assert send_again(WebhookDelivery.objects.filter(pk__in=[busy.pk, off.pk])) == 0


async def test_an_attempt_that_is_cut_off_when_the_process_ends_is_made_again(
    threads: DatabaseThreads, receiver: Receiver
) -> None:
    hanging = threading.Event()
    receiver.replies.append(Reply(hold=hanging))
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    delivery = await threads.run(make_delivery, endpoint)

    class Hasty(DeliveryKind):
        grace_s = 0.0

    ending = Runner([Hasty(lambda: Sender(RULES, user_agent="test"))])
    ending.start()
    await threads.run(receiver.wait_for, len)
    await ending.aclose()
    hanging.set()
    await read(threads, delivery)
    assert (delivery.state, delivery.attempts, delivery.lease_until) == ("pending", 0, None)
    await run()
    assert [received.event_id for received in receiver.received] == [delivery.event_id] * 2


async def test_the_session_of_a_delivery_may_be_deleted_while_it_is_sent(
    threads: DatabaseThreads, receiver: Receiver
) -> None:
    hanging = threading.Event()
    receiver.replies.append(Reply(hold=hanging))
    session = await threads.run(make_session)
    endpoint = await threads.run(make_endpoint, url=receiver.url)
    await threads.run(make_delivery, endpoint, session=session)
    runner = Runner([kind()])
    runner.start()
    try:
        await threads.run(receiver.wait_for, len)
        await threads.run(session.delete)
        hanging.set()
        later = await threads.run(make_delivery, endpoint)
        runner.wake()
        await threads.run(receiver.wait_for, lambda received: len(received) == 2)
    finally:
        hanging.set()
        await runner.aclose()
    assert (await read(threads, later)).state == "delivered"
