"""What waits for the client stays in order and bounded."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from transcription.asr_server.errors import EngineError
from transcription.asr_server.listening import HeardSegment
from transcription.asr_server.outbox import MAX_WAITING, Final, Interim, Outbox, Progress

SEGMENT = HeardSegment(0, np.zeros(0, np.float32), 1.0, ())


def final() -> Final:
    return Final(SEGMENT, asyncio.get_running_loop().create_future())


async def test_messages_come_out_in_order() -> None:
    outbox, last = Outbox(), final()
    for message in (Interim(SEGMENT, "a"), last, Progress(2.0)):
        outbox.put(message)
    outbox.close()
    assert [await outbox.get() for _ in range(4)] == [Interim(SEGMENT, "a"), last, Progress(2.0), None]


async def test_a_newer_interim_or_progress_replaces_the_one_that_waits() -> None:
    outbox = Outbox()
    for message in (Interim(SEGMENT, "a"), Interim(SEGMENT, "a b"), Progress(1.0), Progress(2.0)):
        outbox.put(message)
    outbox.close()
    assert [await outbox.get() for _ in range(3)] == [Interim(SEGMENT, "a b"), Progress(2.0), None]


async def test_finals_are_never_replaced() -> None:
    outbox, both = Outbox(), [final(), final()]
    for message in both:
        outbox.put(message)
    assert [await outbox.get(), await outbox.get()] == both


async def test_a_full_outbox_holds_up_until_something_is_taken() -> None:
    outbox = Outbox()
    for _ in range(MAX_WAITING):
        outbox.put(final())
    room = asyncio.create_task(outbox.wait_for_room())
    await asyncio.sleep(0)
    assert not room.done()
    await outbox.get()
    await room


async def test_an_error_overtakes_what_waits() -> None:
    outbox = Outbox()
    outbox.put(final())
    outbox.close(EngineError("broken"))
    with pytest.raises(EngineError):
        await outbox.get()


async def test_cancelling_gives_up_the_work_of_waiting_finals() -> None:
    outbox, message = Outbox(), final()
    outbox.put(message)
    outbox.cancel()
    assert message.text.cancelled()
