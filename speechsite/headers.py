"""HTTP headers at the edge: which of a request's are believed, and which every answer carries."""

from __future__ import annotations

from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope

# The server program has put what a trusted proxy says into the scope's client and scheme. What still
# stands in these headers anybody can have written. Those that name a client stay: nothing believes them, but that
# they are there tells a request through a proxy from one of this machine's own (origins.PROXY_HEADERS).
HEARSAY_HEADERS = frozenset({b"x-forwarded-proto", b"x-forwarded-host", b"x-forwarded-port"})
# Django's own middleware sends the other security headers.
RESPONSE_HEADERS = (
    (b"permissions-policy", b"microphone=(self), camera=(), geolocation=(), payment=(), usb=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
)


class EdgeHeaders:
    """ASGI: drops hearsay from requests, and adds to answers the headers that they do not set themselves."""

    def __init__(self, application: ASGI3Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        headers = [header for header in scope["headers"] if header[0] not in HEARSAY_HEADERS]
        believed: Any = {**scope, "headers": headers}
        if scope["type"] == "websocket":
            await self.application(believed, receive, send)
            return

        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                added = [header for header in RESPONSE_HEADERS if header[0] not in names]
                message = {**message, "headers": [*given, *added]}
            await send(message)

        await self.application(believed, receive, send_with_headers)
