"""The session engine under any order of speech, losses, returns and failures: every word once, nothing left open.

Whole sessions on fakes in virtual time: a recogniser that hears numbered words, a store in memory, a client that
keeps its audio from `safe` on.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from transcription.engine import end as ends
from transcription.engine.live import LiveTranscription
from transcription.engine.resuming import digest_of
from transcription.errors import StorageUnavailable, TranscriptionError
from transcription.events import Ack, Event, Failed, Final, Resumed, Stopped
from transcription.fake_riva.audio import spoken, word_texts
from transcription.identity.principals import LOCAL
from transcription.options import TranscriptionConfig
from transcription.storage.coverage import account
from transcription.storage.steps import NewSession, Resume
from transcription.tests.memory_store import MemoryStore
from transcription.tests.virtual_time import LEFT_OVER, VirtualTimeLoop
from transcription.tests.word_recogniser import WordRecogniser

TOKEN = "token"
CHUNK = 3200
CHUNK_S = 0.1
TICK_S = 0.25
PATIENCE_S = 300.0
MAX_EXAMPLES = 250


class Client:
    """What a client of ours does: sends from audio_offset on within its limit, forgets what is safe, keeps finals."""

    def __init__(self) -> None:
        self.recorded = bytearray()
        self.forgotten = 0
        self.sent = 0
        self.limit = 0
        self.finals: dict[int, str] = {}
        self.durable: set[int] = set()
        self.stopped: Stopped | None = None
        self.failed: TranscriptionError | None = None

    def on_event(self, event: Event) -> None:
        match event:
            case Ack():
                self.limit = event.limit or 0
                self.forgotten = max(self.forgotten, event.safe or 0)
            case Resumed():
                self.sent = event.audio_offset
                assert self.sent >= self.forgotten, "audio is wanted that was safe before"
                if event.withdrawn:
                    self.finals = {index: text for index, text in self.finals.items() if index < event.next_segment}
                for final in event.finals:
                    self.on_event(final)
            case Final():
                if event.segment in self.durable and event.segment in self.finals:
                    assert self.finals[event.segment] == event.result.text, "a final changed"
                self.finals[event.segment] = event.result.text
                if event.durable and not event.tail:
                    self.durable.add(event.segment)
            case Stopped():
                self.stopped = event
            case Failed():
                self.failed = event.error

    def next_chunk(self) -> bytes:
        end = min(self.sent + CHUNK, len(self.recorded), self.limit)
        chunk = bytes(self.recorded[self.sent : end])
        self.sent += len(chunk)
        return chunk


class Session(RuleBasedStateMachine):
    """One recording with everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualTimeLoop()
        self.client = Client()
        self.words = 0
        self.live: LiveTranscription | None = None
        self.running: asyncio.Task[None] | None = None
        self.lives: list[LiveTranscription] = []

    def run(self, coroutine: Any) -> Any:
        return self.loop.run_until_complete(coroutine)

    @initialize(settles=st.booleans())
    def start(self, settles: bool) -> None:
        self.recogniser = WordRecogniser(settles=settles)
        self.store = MemoryStore(clock=self.loop.time)
        self.new = NewSession(
            public_id="s",
            principal=LOCAL,
            client_address=None,
            user_agent="",
            dialect="native",
            asked={},
            applied=TranscriptionConfig().as_applied(),
            resume_token_digest=digest_of(TOKEN),
        )
        self.run(self._go_live(None))

    async def _go_live(self, taken: Any) -> None:
        self.live = LiveTranscription(
            self.new,
            recogniser=self.recogniser,
            store=self.store,
            emit=self.client.on_event,
            session_timeout_s=7200,
            idle_timeout_s=600,
            resume_window_s=3600,
            taken=taken,
            resume_token=TOKEN,
            clock=self.loop.time,
            jitter=lambda: 0.5,
        )
        self.lives.append(self.live)
        self.client.failed = None
        self.running = asyncio.create_task(self.live.run())
        await asyncio.sleep(0.1)

    async def _pass(self, seconds: float) -> None:
        """Time passes for everybody; the client sends what it may at four times the speed of speech."""
        end_s = self.loop.time() + seconds
        ticked_s = self.loop.time()
        while self.loop.time() < end_s:
            await asyncio.sleep(CHUNK_S)
            if self.live is None:
                continue
            for _ in range(4):
                if self.live.is_open and not self.live.is_ending and (chunk := self.client.next_chunk()):
                    self.live.feed(chunk)
            if self.loop.time() - ticked_s >= TICK_S:
                ticked_s = self.loop.time()
                self.live.tick()
            if self.running is not None and self.running.done():
                await self._gone()

    async def _gone(self) -> None:
        assert self.running is not None
        await self.running
        self.live = self.running = None

    @rule(words=st.integers(1, 6), utterance=st.integers(1, 5), heard_s=st.floats(0.1, 8.0))
    def speak(self, words: int, utterance: int, heard_s: float) -> None:
        """heard_s: how much time passes while it is sent; the rest waits with the client."""
        audio = spoken(words, first=self.words + 1, words_per_utterance=utterance, lead_ms=50, tail_ms=300)
        self.words += words
        self.client.recorded += audio
        self.run(self._pass(heard_s))

    @rule(silent_s=st.floats(0.5, 15.0), sends=st.booleans())
    def pause(self, silent_s: float, sends: bool) -> None:
        """Silence, as audio or as none at all."""
        if sends:
            self.client.recorded += bytes(round(silent_s * 1000) * 32)
        self.run(self._pass(silent_s))

    @precondition(lambda self: self.live is not None)
    @rule()
    def lose_recogniser(self) -> None:
        self.recogniser.kill_streams()
        self.run(self._pass(0.3))

    @precondition(lambda self: self.live is not None)
    @rule(away_s=st.floats(0.1, 40.0))
    def lose_recogniser_for_a_while(self, away_s: float) -> None:
        self.recogniser.is_down = True
        self.recogniser.kill_streams()
        self.run(self._pass(away_s))
        self.recogniser.is_down = False

    @precondition(lambda self: self.live is not None)
    @rule(how=st.sampled_from([ends.client_lost, ends.draining, ends.idle_timeout]))
    def lose_client(self, how: Any) -> None:
        async def lose() -> None:
            assert self.live is not None
            self.live.end(how())
            assert self.running is not None
            await asyncio.wait_for(asyncio.shield(self.running), PATIENCE_S)
            await self._gone()

        self.run(lose())

    @precondition(lambda self: self.live is not None)
    @rule()
    def lose_process(self) -> None:
        """kill -9: nothing is flushed, nothing is written; another process notices."""

        async def kill() -> None:
            assert self.running is not None
            self.store.freeze()
            self.running.cancel()
            await asyncio.gather(self.running, return_exceptions=True)
            self.store.thaw()
            self.live = self.running = None

        self.run(kill())

    @precondition(lambda self: self.live is not None and self.live.is_open)
    @rule()
    def come_back_before_the_old_connection_is_missed(self) -> None:
        async def take_over() -> None:
            old, running = self.live, self.running
            assert old is not None
            assert running is not None
            await self._resume()
            old.end(ends.client_lost())
            await asyncio.wait_for(asyncio.shield(running), PATIENCE_S)

        self.run(take_over())

    @precondition(lambda self: self.live is None)
    @rule()
    def come_back(self) -> None:
        self.run(self._resume())

    async def _resume(self) -> None:
        taken = await self.store.take(
            Resume(
                public_id="s",
                principal=LOCAL,
                token_digest=digest_of(TOKEN),
                received_segments=len(self.client.finals),
                held_from=self.client.forgotten,
                client_address=None,
                user_agent="",
                max_age_s=7200,
            )
        )
        assert taken.ended is None
        await self._go_live(taken)

    @precondition(lambda self: self.live is not None)
    @rule(failures=st.integers(1, 3))
    def lose_database(self, failures: int) -> None:
        """The store gives up on commits: the session is let go, its client keeps what is not stored."""
        self.store.fail_commits(StorageUnavailable("The database does not answer.") for _ in range(failures))
        self.run(self._pass(1.0))
        self.store.fail_commits(())

    def teardown(self) -> None:
        try:
            if self.words:
                self.run(self._finish())
        finally:
            for live in self.lives:
                assert live.is_ending or live is self.live
            assert all(stream.is_cancelled for stream in self.recogniser.streams) or self.live is not None
            if self.running is not None:
                self.running.cancel()
                self.run(asyncio.gather(self.running, return_exceptions=True))
            left = asyncio.all_tasks(self.loop)
            self.loop.close()
        assert not left, LEFT_OVER.format(left)

    async def _finish(self) -> None:
        """Everything works again; the client sends the rest and stops."""
        self.recogniser.is_down = False
        for _attempt in range(10):
            if self.live is None:
                await self._resume()
            while self.live is not None and self.client.sent < len(self.client.recorded):
                await self._pass(1.0)
            if self.live is not None and self.running is not None:
                self.live.end(ends.client_stop())
                await asyncio.wait_for(asyncio.shield(self.running), PATIENCE_S)
                await self._gone()
            if self.client.stopped is not None:
                break
        row = self.store.sessions["s"]
        heard = [word for segment in row.segments for word in segment.text.split()]
        assert heard == word_texts(self.words)
        told = [word for index in sorted(self.client.finals) for word in self.client.finals[index].split()]
        assert told == heard, "what the client holds is what is stored"
        assert row.tails == []
        starts = [segment.start_ms for segment in row.segments]
        assert starts == sorted(starts)
        assert row.audio_bytes == len(self.client.recorded)
        books = account(settled=row.committed_bytes, flushed=0, gaps=row.gaps, audio=row.audio_bytes)
        assert sum(books) == row.audio_bytes
        assert (books.gaps, books.unanswered) == (0, 0)


# Examples are many; how long they take is the machine's business.
@pytest.mark.timeout(300)
def test_no_order_of_losses_and_failures_costs_a_word() -> None:
    run_state_machine_as_test(
        Session,
        settings=settings(
            max_examples=MAX_EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            # A failure is told as it was found: making it smaller takes minutes.
            phases=(Phase.reuse, Phase.generate),
            suppress_health_check=list(HealthCheck),
        ),
    )
