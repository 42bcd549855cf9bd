"""What one server process shares: its clock goes on whatever happens to one session."""

from __future__ import annotations

import asyncio

from speechsite.config import Config
from transcription.engine.resuming import digest_of
from transcription.events import Event, Failed, Resumed, Started
from transcription.identity.principals import LOCAL
from transcription.process import TICK_S, Process
from transcription.storage.steps import Resume, Taken
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


class LateStore(MemoryStore):
    """The answer to the first take-over comes after that to the second."""

    def __init__(self) -> None:
        super().__init__()
        self.takes = 0
        self.may_answer = asyncio.Event()

    async def take(self, resume: Resume) -> Taken:
        self.takes += 1
        is_first = self.takes == 1
        taken = await super().take(resume)
        if is_first:
            await self.may_answer.wait()
        return taken


@in_virtual_time
async def test_a_take_over_ends_no_connection_that_took_the_session_after_it() -> None:
    store = LateStore()
    process = Process(Config(), recogniser=FakeRecogniser(), store=store)
    started: list[Event] = []
    live = process.transcribe(new_session("s"), emit=started.append)
    running = asyncio.create_task(process.run(live))
    await asyncio.sleep(1)
    [token] = [event.resume_token for event in started if isinstance(event, Started)]
    assert token is not None
    resume = Resume(
        public_id="s",
        principal=LOCAL,
        token_digest=digest_of(token),
        received_segments=None,
        held_from=None,
        client_address=None,
        user_agent="",
        max_age_s=3600,
    )

    async def come_back(told: list[Event]) -> None:
        await process.run(process.go_on(await process.take(resume), resume, dialect="native", emit=told.append))

    first: list[Event] = []
    second: list[Event] = []
    returning = [asyncio.create_task(come_back(told)) for told in (first, second)]
    await asyncio.sleep(1)
    store.may_answer.set()
    await asyncio.sleep(1)

    assert isinstance(second[0], Resumed)
    assert not any(isinstance(event, Failed) for event in second)
    await process.drain(10)
    await asyncio.gather(running, *returning)
