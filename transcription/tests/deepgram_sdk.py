"""Deepgram's own client, pointed at a server of ours by the option it has for that."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from deepgram import AsyncDeepgramClient, DeepgramClient
from deepgram.core.events import EventType
from deepgram.environment import DeepgramClientEnvironment
from deepgram.listen.v1.socket_client import V1SocketClient

WAIT_S = 20.0


def environment(url: str) -> DeepgramClientEnvironment:
    """url: of the service, http://…"""
    socket_url = url.replace("http", "ws", 1)
    return DeepgramClientEnvironment(base=url, production=socket_url, agent=socket_url, agent_rest=url)


def new_client(url: str, key: str) -> DeepgramClient:
    return DeepgramClient(api_key=key, environment=environment(url))


def new_async_client(url: str, key: str) -> AsyncDeepgramClient:
    return AsyncDeepgramClient(api_key=key, environment=environment(url))


class Listening:
    """One live connection of the blocking client; its messages come in a thread."""

    def __init__(self, socket: V1SocketClient) -> None:
        self.messages: list[Any] = []
        self.socket = socket
        self._changed = threading.Condition()
        self._ended = False
        socket.on(EventType.MESSAGE, self._on_message)
        socket.on(EventType.CLOSE, self._on_close)
        self._thread = threading.Thread(target=socket.start_listening, daemon=True)
        self._thread.start()

    def _on_message(self, message: Any) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def _on_close(self, _nothing: Any) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def speak(self, pcm: bytes, *, chunk_bytes: int = 3200, each_s: float = 0.0) -> None:
        for start in range(0, len(pcm), chunk_bytes):
            self.socket.send_media(pcm[start : start + chunk_bytes])
            time.sleep(each_s)

    def until(self, kind: str, **fields: Any) -> Any:
        """The first message of a kind whose fields are so."""
        with self._changed:
            assert self._changed.wait_for(lambda: bool(self.of(kind, **fields)), WAIT_S), self.messages
        return self.of(kind, **fields)[0]

    def of(self, kind: str, **fields: Any) -> list[Any]:
        return [
            message
            for message in self.messages
            if message.type == kind and all(getattr(message, name) == value for name, value in fields.items())
        ]

    def end(self) -> None:
        """Close the stream as the SDK does and read to the end."""
        self.socket.send_close_stream()
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended, WAIT_S), self.messages

    @property
    def finals(self) -> list[str]:
        return texts_of(self.of("Results", is_final=True))


def texts_of(results: Iterable[Any]) -> list[str]:
    """The texts of results that have any."""
    found = [result.channel.alternatives[0].transcript for result in results]
    return [text for text in found if text]


@contextmanager
def listening(client: DeepgramClient, **options: Any) -> Iterator[Listening]:
    with client.listen.v1.connect(**options) as socket:
        yield Listening(socket)
