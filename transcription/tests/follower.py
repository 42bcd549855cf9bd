"""A program that follows a session as docs/events-api.md says, and comes back whenever it is cut off."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

OPEN_TIMEOUT_S = 20.0
BACKOFF_S = 0.25
FOR_GOOD = frozenset({1000, 4400, 4401, 4403, 4404})

Message = dict[str, Any]


class Follower:
    """segments: those that count, by index. closes: the codes of its connections. messages: of each connection."""

    def __init__(self, url: str, query: str = "", **options: Any) -> None:
        self.segments: dict[int, Message] = {}
        self.messages: list[list[Message]] = []
        self.closes: list[int] = []
        self._url = url
        self._query = query
        self._options = options
        self._news = asyncio.Event()

    @property
    def texts(self) -> list[str]:
        return [self.segments[index]["text"] for index in sorted(self.segments)]

    @property
    def after(self) -> int:
        """The last segment that cannot be withdrawn any more."""
        return max((index for index, segment in self.segments.items() if not segment["tail"]), default=-1)

    def of(self, kind: str) -> list[Message]:
        return [message for messages in self.messages for message in messages if message["event"] == kind]

    async def saw(self, kind: str) -> Message:
        """The last message of a kind, as soon as there is one; the test's own timeout bounds the wait."""
        while not (found := self.of(kind)):
            self._news.clear()
            await self._news.wait()
        return found[-1]

    async def run(self) -> None:
        """Follow until the session has ended, or there is nothing to come back for."""
        while not self.closes or self.closes[-1] not in FOR_GOOD:
            if self.closes:
                await asyncio.sleep(BACKOFF_S)
            try:
                await self._follow()
            except (OSError, InvalidHandshake, TimeoutError):
                self.closes.append(0)

    async def _follow(self) -> None:
        query = f"?after={self.after}&{self._query}"
        async with connect(self._url + query, open_timeout=OPEN_TIMEOUT_S, **self._options) as socket:
            self.messages.append([])
            try:
                async for text in socket:
                    self._take(json.loads(text))
            except ConnectionClosed:
                pass
            self.closes.append(socket.close_code or 1006)

    def _take(self, message: Message) -> None:
        self.messages[-1].append(message)
        match message["event"]:
            case "snapshot" | "revised":
                kept = {index: each for index, each in self.segments.items() if index < message["from_segment"]}
                self.segments = kept | {each["segment"]: each for each in message.get("segments", ())}
            case "segment":
                self.segments[message["segment"]] = message
        self._news.set()
