"""uvicorn for one of several workers: it takes its share of the connections and no more (`accept_gate.py`).

The load of a worker is the number of its open WebSockets, and of HTTP connections that had no answer yet, as each
may still become a WebSocket. Sockets, not sessions: a session has one socket from its first moment to its last, and is
only counted when it has started, too late for the next connection of a burst; a socket that starts none is closed
after START_TIMEOUT_SECONDS. An HTTP connection that is kept alive after an answer costs nothing and weighs nothing.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from speechsite.accept_gate import AcceptGate
from speechsite.load_board import LoadBoard

# Added to the load of a worker that should get connections only where no other is left to take them.
LAST_RESORT = 1 << 20
# uvicorn closes a connection that has not asked yet; one that was accepted a moment ago is about to.
LATE_REQUEST_S = 0.1


class CountedConnections(set[Any]):
    """uvicorn's set of open connections, which also knows the HTTP connections that wait for their next request."""

    def __init__(self) -> None:
        super().__init__()
        self._answered: set[Any] = set()

    @property
    def load(self) -> int:
        return len(self) - len(self._answered)

    def answered(self, connection: Any) -> None:
        if connection in self:
            self._answered.add(connection)

    def discard(self, connection: Any) -> None:
        super().discard(connection)
        self._answered.discard(connection)

    def remove(self, connection: Any) -> None:
        super().remove(connection)
        self._answered.discard(connection)


class CountedHttpProtocol(HttpToolsProtocol):
    def on_response_complete(self) -> None:
        if isinstance(self.connections, CountedConnections):
            self.connections.answered(self)
        super().on_response_complete()


class GatedServer(uvicorn.Server):
    """Without a board: uvicorn as it is, for a single worker."""

    def __init__(self, config: uvicorn.Config, *, board: LoadBoard | None = None, slot: int = 0) -> None:
        super().__init__(config)
        self._board = board
        self._slot = slot
        self._gate: AcceptGate | None = None

    @property
    def wants_connections(self) -> bool:
        """False: other workers should take them, as long as there are any that want them."""
        return True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._board is None or not sockets:
            await super().startup(sockets)
            return
        # Everything but the listening.
        await super().startup([])
        if self.started:
            self._gate = self._open_gate(self._board, sockets[0])

    def _open_gate(self, board: LoadBoard, listener: socket.socket) -> AcceptGate:
        connections = CountedConnections()
        self.server_state.connections = connections

        def load() -> int:
            return connections.load + (0 if self.wants_connections else LAST_RESORT)

        def make_protocol() -> CountedHttpProtocol:
            return CountedHttpProtocol(
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )

        gate = AcceptGate(listener, make_protocol, board=board, slot=self._slot, load=load)
        gate.open()
        return gate

    async def on_tick(self, counter: int) -> bool:
        if self._gate is not None:
            self._gate.post()
        return await super().on_tick(counter)

    async def stop_accepting(self) -> None:
        """At once; returns when the connections that were just accepted are among those to shut down."""
        for server in self.servers:
            server.close()
        if self._gate is not None:
            self._gate.close()
            await self._gate.wait_closed()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self.stop_accepting()
        await asyncio.sleep(LATE_REQUEST_S)
        await super().shutdown(sockets)
