"""Sessions that come and go, so that a number of them is always spoken."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

from transcription.fake_riva.audio import Speech
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.chaos.microphone import Microphone
from transcription.tests.chaos.stage import Stage

# Every session has word numbers of its own, so words that end up in another one are noticed.
NUMBERS_PER_SESSION = 10_000
WORD_MS = 300
GAP_MS = 100
SHORT_BUFFER_S = 6.0
LONG_BUFFER_S = 600.0
ONE_IN_SHORT = 8
AGAIN_AFTER_S = 1.0


class Load:
    """Keeps `sessions` clients speaking until it is told to end.

    length_s: between which lengths a session lasts. leave_one_in: so many leave without a word at the end.
    first: how many sessions there were before. on_event: called with every client and event.
    """

    def __init__(
        self,
        stage: Stage,
        sessions: int,
        *,
        length_s: tuple[float, float] = (30.0, 90.0),
        leave_one_in: int = 0,
        short_buffers: bool = True,
        chance: random.Random,
        first: int = 0,
        on_event: Callable[[ResilientClient, dict[str, Any]], None] = lambda client, event: None,
    ) -> None:
        self.clients: list[ResilientClient] = []
        self.speaking: set[ResilientClient] = set()
        self.not_started = 0
        self._stage = stage
        self._sessions = sessions
        self._length_s = length_s
        self._leave_one_in = leave_one_in
        self._short_buffers = short_buffers
        self._chance = chance
        self._on_event = on_event
        self._ending = asyncio.Event()
        self._count = first

    async def run(self) -> None:
        """Until end(), and then until the last session is over."""
        async with asyncio.TaskGroup() as group:
            for place in range(self._sessions):
                group.create_task(self._keep_speaking(place))

    def end(self) -> None:
        """No further sessions; those that speak stop and are finished."""
        self._ending.set()
        for client in self.speaking:
            client.switch_off()

    async def _keep_speaking(self, place: int) -> None:
        # Not all at the same moment: sessions do not begin or pause together.
        await self._pause(place * 0.1)
        while not self._ending.is_set():
            client = self._new_client()
            self.speaking.add(client)
            leaving = self._leaving(client)
            try:
                await client.run()
            finally:
                self.speaking.discard(client)
                if leaving:
                    leaving.cancel()
            if client.never_started:
                self.not_started += 1
                await self._pause(AGAIN_AFTER_S)
            else:
                self.clients.append(client)

    def _new_client(self) -> ResilientClient:
        self._count += 1
        chance = self._chance
        per_utterance = chance.randint(3, 9)
        pause_ms = chance.randrange(1000, 2600, 10)
        utterance_ms = per_utterance * (WORD_MS + GAP_MS) + pause_ms
        utterances = int(chance.uniform(*self._length_s) * 1000 / utterance_ms) + 1
        speech = Speech(
            per_utterance * utterances,
            first=self._count * NUMBERS_PER_SESSION + 1,
            word_ms=WORD_MS,
            gap_ms=GAP_MS,
            words_per_utterance=per_utterance,
            pause_ms=pause_ms,
            tail_ms=chance.randrange(0, 1500, 10),
        )
        is_short = self._short_buffers and self._count % ONE_IN_SHORT == 0
        session_id = f"chaos-{self._count}"
        client: ResilientClient
        client = ResilientClient(
            self._stage.socket_url(session_id),
            session_id,
            Microphone.speaking(speech, buffer_s=SHORT_BUFFER_S if is_short else LONG_BUFFER_S),
            jitter=chance.random,
            on_event=lambda event: self._on_event(client, event),
        )
        return client

    def _leaving(self, client: ResilientClient) -> asyncio.Task[None] | None:
        if not self._leave_one_in or self._count % self._leave_one_in:
            return None
        return asyncio.create_task(self._leave(client))

    async def _leave(self, client: ResilientClient) -> None:
        await client.started.wait()
        await asyncio.sleep(self._chance.uniform(5.0, 20.0))
        client.leave()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._ending.wait()
        except TimeoutError:
            return
