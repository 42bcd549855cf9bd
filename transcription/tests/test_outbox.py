"""What waits to be sent to one client."""

from __future__ import annotations

import asyncio

import pytest

from transcription.engine.outbox import MAX_EVENTS, ROOMY_EVENTS, STUCK_S, Outbox
from transcription.errors import TimedOutClient
from transcription.events import Ack, AudioWarning, Event, Final, Interim
from transcription.results import FinalResult, InterimResult
from transcription.tests.sessions import Clock


def interim(text: str, segment: int = 0) -> Interim:
    return Interim(segment, InterimResult(text, 0, 100))


def final(segment: int) -> Final:
    return Final(segment, FinalResult(f"segment {segment}", 0, 100))


async def drained(outbox: Outbox) -> list[Event]:
    outbox.close()
    return [event async for event in outbox.events()]


async def test_events_come_out_in_their_order() -> None:
    outbox = Outbox()
    for event in (AudioWarning("clipping"), final(0), final(1)):
        outbox.put(event)

    assert await drained(outbox) == [AudioWarning("clipping"), final(0), final(1)]


async def test_a_newer_interim_takes_the_place_of_an_unsent_one() -> None:
    outbox = Outbox()
    for event in (interim("one"), final(0), interim("two", 1), interim("two three", 1)):
        outbox.put(event)

    assert await drained(outbox) == [final(0), interim("two three", 1)]


async def test_a_newer_acknowledgement_takes_the_place_of_an_unsent_one() -> None:
    outbox = Outbox()
    for event in (Ack(1, 0, 9), interim("one"), Ack(2, 0, 9)):
        outbox.put(event)

    assert await drained(outbox) == [interim("one"), Ack(2, 0, 9)]


async def test_a_thousand_interims_are_one_and_no_final_is_lost() -> None:
    outbox = Outbox()
    for number in range(1000):
        outbox.put(interim(f"text {number}"))
        if number % 10 == 0:
            outbox.put(final(number // 10))

    outbox.check()
    events = await drained(outbox)

    assert [event.segment for event in events if isinstance(event, Final)] == list(range(100))
    assert [event for event in events if isinstance(event, Interim)] == [interim("text 999")]


async def test_it_does_not_grow_past_its_bound_and_then_the_client_is_too_slow() -> None:
    outbox = Outbox()
    for number in range(MAX_EVENTS):
        outbox.put(final(number))
    outbox.check()

    outbox.put(final(MAX_EVENTS))

    with pytest.raises(TimedOutClient) as caught:
        outbox.check()
    assert caught.value.reason == "slow_reader"
    assert len(await drained(outbox)) == MAX_EVENTS


async def test_a_client_that_does_not_take_an_event_for_long_is_too_slow() -> None:
    clock = Clock()
    outbox = Outbox(clock)
    outbox.put(final(0))
    await anext(outbox.events())

    clock.advance(STUCK_S - 0.1)
    outbox.check()
    clock.advance(0.1)
    with pytest.raises(TimedOutClient):
        outbox.check()


async def test_a_client_that_waits_for_events_is_not_slow() -> None:
    clock = Clock()
    outbox = Outbox(clock)
    received: list[Event] = []
    taken = asyncio.Event()

    async def take() -> None:
        async for event in outbox.events():
            received.append(event)
            taken.set()

    taker = asyncio.create_task(take())
    outbox.put(final(0))
    await taken.wait()
    clock.advance(10 * STUCK_S)

    outbox.check()
    outbox.put(final(1))
    outbox.close()
    await taker
    assert received == [final(0), final(1)]


async def test_nothing_gets_in_once_it_is_closed() -> None:
    outbox = Outbox()
    outbox.put(final(0))
    outbox.close()
    outbox.put(final(1))

    assert await drained(outbox) == [final(0)]


async def test_nothing_follows_what_a_slow_client_was_not_told() -> None:
    """It counts its finals when it comes back: one that is missing in their middle would never be told."""
    outbox = Outbox()
    for number in range(MAX_EVENTS + 1):
        outbox.put(final(number))
    told: list[Event] = []
    async for event in outbox.events():
        told.append(event)
        # There is room again.
        assert not outbox.is_idle
        outbox.put(final(MAX_EVENTS + 1))
        if len(told) == MAX_EVENTS:
            break

    assert told == [final(number) for number in range(MAX_EVENTS)]
    assert await drained(outbox) == []


async def test_whoever_answers_waits_until_there_is_room() -> None:
    outbox = Outbox()
    for index in range(ROOMY_EVENTS):
        outbox.put(final(index))
    assert not outbox.has_room
    waiting = asyncio.create_task(outbox.wait_for_room())
    await asyncio.sleep(0)
    assert not waiting.done()

    events = outbox.events()
    await anext(events)
    await asyncio.wait_for(waiting, 5)
    assert outbox.has_room


async def test_a_wait_for_room_ends_when_the_outbox_is_closed() -> None:
    outbox = Outbox()
    for index in range(ROOMY_EVENTS):
        outbox.put(final(index))
    waiting = asyncio.create_task(outbox.wait_for_room())
    await asyncio.sleep(0)
    outbox.close()
    await asyncio.wait_for(waiting, 5)
