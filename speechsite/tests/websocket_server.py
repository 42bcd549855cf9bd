"""A uvicorn server with our WebSocket class and small applications, in a thread with a loop of its own."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

import uvicorn

from speechsite.websocket.protocol import WebSocketProtocol

TIMEOUT_S = 20.0

Application = Callable[[Any, Any, Any], Awaitable[Any]]


class WebSocketServer:
    """`with WebSocketServer() as server:` serves each application at an address of its own."""

    def __init__(self, *, ws: type[WebSocketProtocol] = WebSocketProtocol, **options: Any) -> None:
        self._applications: dict[str, Application] = {}
        self._numbers = itertools.count()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.config = uvicorn.Config(
            self._route,
            interface="asgi3",
            loop="uvloop",
            http="httptools",
            ws=ws,
            lifespan="off",
            log_config=None,
            **options,
        )
        self.server = uvicorn.Server(self.config)
        self._thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self._listening]})

    async def _route(self, scope: Any, receive: Any, send: Any) -> Any:
        return await self._applications[scope["path"]](scope, receive, send)

    def add(self, application: Application) -> str:
        """Serve an application. Returns its path."""
        path = f"/{next(self._numbers)}"
        self._applications[path] = application
        return path

    def __enter__(self) -> Self:
        # Connections that come before it runs wait in the socket's queue.
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive(), "the server did not end"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Says what it hears."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
