"""Speaking to sockets that only watch, in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from channels.testing import WebsocketCommunicator

from transcription.storage.database_threads import DatabaseThreads
from transcription.tests.still_process import StillProcess
from transcription.tests.test_auth import scope

ANSWER_S = 10.0


class DeafDatabase(DatabaseThreads):
    async def run(self, function: Any, *args: Any, timeout_s: float | None = None, **kwargs: Any) -> Any:
        raise TimeoutError


@asynccontextmanager
async def watching(
    process: StillProcess,
    consumer: Any,
    session_id: str = "",
    *,
    query: str = "",
    settings: dict[str, Any] | None = None,
    **headers: Any,
) -> AsyncIterator[WebsocketCommunicator]:
    """A connection; settings: of the consumer."""
    application = consumer.as_asgi(process_of=lambda: process, **(settings or {}))
    communicator = WebsocketCommunicator(application, "/ws/")
    communicator.scope |= scope(**headers) | {
        "url_route": {"kwargs": {"session_id": session_id}},
        "query_string": query.encode(),
    }
    await communicator.connect(timeout=ANSWER_S)
    yield communicator
    await communicator.disconnect(timeout=ANSWER_S)


async def event(communicator: WebsocketCommunicator, kind: str) -> dict[str, Any]:
    """The next event of a kind."""
    while True:
        frame: dict[str, Any] = json.loads(await communicator.receive_from(timeout=ANSWER_S))
        if frame["event"] == kind:
            return frame


async def closed(communicator: WebsocketCommunicator) -> int:
    """The code of the close, which must be what comes next."""
    closing = await communicator.receive_output(timeout=ANSWER_S)
    assert closing["type"] == "websocket.close", closing
    return int(closing["code"])


async def refusal(communicator: WebsocketCommunicator) -> tuple[int, str]:
    """Code and message of the error; the code must be that of the close."""
    error = await event(communicator, "error")
    assert await closed(communicator) == error["code"]
    return error["code"], error["message"]


async def refused(communicator: WebsocketCommunicator) -> int:
    code, _message = await refusal(communicator)
    return code
