"""What an application is told of a WebSocket (ASGI's connection scope)."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config
from uvicorn.protocols.utils import get_local_addr, get_remote_addr, is_ssl

from speechsite.websocket.handshake import Request


def build_scope(request: Request, transport: asyncio.Transport, config: Config) -> dict[str, Any]:
    path, _, query = request.target.partition("?")
    return {
        "type": "websocket",
        "asgi": {"version": config.asgi_version, "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if is_ssl(transport) else "ws",
        "server": get_local_addr(transport),
        "client": get_remote_addr(transport),
        "root_path": config.root_path,
        "path": config.root_path + unquote(path),
        "raw_path": (config.root_path + path).encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": request.headers,
        "subprotocols": request.subprotocols,
        "extensions": {"websocket.http.response": {}},
    }
