"""What one server process shares: its clock goes on whatever happens to one session."""

from __future__ import annotations

import asyncio

from speechsite.config import Config
from transcription.events import Event, Failed, Started
from transcription.process import TICK_S, Process
from transcription.tests.fake_recogniser import FakeRecogniser
from transcription.tests.live_session import SPEECH
from transcription.tests.memory_store import MemoryStore
from transcription.tests.sessions import new_session
from transcription.tests.virtual_time import in_virtual_time


class TickingProcess(Process):
    """Only the clock of a process: no row in the database, no channel layer."""

    async def start(self) -> None:
        self._ticking = asyncio.create_task(self._tick())

    async def aclose(self) -> None:
        assert self._ticking is not None
        self._ticking.cancel()
        await asyncio.gather(self._ticking, return_exceptions=True)


@in_virtual_time
async def test_a_bug_with_one_session_does_not_stop_the_clock_of_the_others() -> None:
    process = TickingProcess(Config(), recogniser=FakeRecogniser(), store=MemoryStore())
    await process.start()
    events: dict[str, list[Event]] = {"bad": [], "good": []}
    lives = {name: process.transcribe(new_session(name), emit=events[name].append) for name in events}
    running = [asyncio.create_task(process.run(live)) for live in lives.values()]
    await asyncio.sleep(1)
    assert all(any(isinstance(event, Started) for event in told) for told in events.values())

    # A stand-in for the bug nobody thought of.
    lives["bad"].intake._measured = None  # type: ignore[assignment]
    lives["good"].feed(SPEECH)
    await asyncio.sleep(4 * TICK_S)

    assert lives["bad"].is_ending
    assert not lives["good"].is_ending
    assert lives["good"].intake.level.has_speech_energy is False
    assert lives["good"].intake.speech_until == len(SPEECH)
    await process.drain(10)
    await asyncio.gather(*running, return_exceptions=True)
    await process.aclose()
    assert [event.error.code for event in events["bad"] if isinstance(event, Failed)] == [4500]
    assert process.live_session_count == 0
