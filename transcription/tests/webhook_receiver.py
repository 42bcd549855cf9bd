"""A receiver of webhooks on a port of its own, as another application would run one; it answers as it is told."""

from __future__ import annotations

import json
import ssl
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from standardwebhooks import Webhook

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Received:
    """One request. headers: by their names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self.body)
        return event

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]

    def verify(self, secret: str) -> dict[str, Any]:
        """The event, if its signature is right by the specification's own library."""
        verified: dict[str, Any] = Webhook(secret).verify(self.body, self.headers)
        return verified


@dataclass(frozen=True, slots=True)
class Reply:
    """hold: wait for this before answering. break_off: close the connection without an answer."""

    status: int = 204
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None
    break_off: bool = False


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Senders that do not read to the end are nothing to tell of."""


class Receiver:
    """Answers the next replies in turn, then 204 for ever. received: every request, in the order they came."""

    def __init__(self, *replies: Reply, tls: ssl.SSLContext | None = None) -> None:
        self.received: list[Received] = []
        self.replies = deque(replies)
        self._news = threading.Condition()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/hooks"

    def wait_for(self, holds: Callable[[list[Received]], bool]) -> list[Received]:
        """What was received, once something holds of it."""
        with self._news:
            assert self._news.wait_for(lambda: holds(self.received), PATIENCE_S), [r.event for r in self.received]
            return list(self.received)

    def events(self, event_type: str) -> list[Received]:
        return [received for received in self.received if received.event["type"] == event_type]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                reply = receiver._receive(Received(self.path, headers, body))
                if reply.hold is not None:
                    reply.hold.wait(PATIENCE_S)
                if reply.break_off:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body)

            def do_GET(self) -> None:
                self.do_POST()

            def log_message(self, *args: Any) -> None:
                pass

        return Handler

    def _receive(self, received: Received) -> Reply:
        with self._news:
            self.received.append(received)
            self._news.notify_all()
            return self.replies.popleft() if self.replies else Reply()
