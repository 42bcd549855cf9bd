"""A worker without the service, quick to start: it answers every request and every WebSocket with its process id.

    python -m speechsite.tests.gated_worker SOCKET_FD BOARD_FD SLOT

It prints a line when it accepts connections. SIGTERM ends it as it ends a real one.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

import uvicorn

from speechsite.gated_server import GatedServer
from speechsite.load_board import LoadBoard

PID = str(os.getpid())


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(PID))]})
        await send({"type": "http.response.body", "body": PID.encode()})
    else:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": PID})
        while (await receive())["type"] != "websocket.disconnect":
            pass


class Worker(GatedServer):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        sys.stdout.write("accepting\n")
        sys.stdout.flush()


if __name__ == "__main__":
    socket_fd, board_fd, slot = map(int, sys.argv[1:])
    config = uvicorn.Config(
        application, loop="uvloop", http="httptools", ws="websockets-sansio", lifespan="off", log_level="critical"
    )
    Worker(config, board=LoadBoard(board_fd), slot=slot).run(sockets=[socket.socket(fileno=socket_fd)])
