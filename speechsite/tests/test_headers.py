"""Headers at the edge: hearsay is dropped, answers carry what browsers must be told."""

from __future__ import annotations

from typing import Any

from speechsite.headers import EdgeHeaders
from transcription.identity.origins import may_come_without_credentials, socket_headers


class Inner:
    """An application that keeps its scope and answers with one header of its own."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers
        self.scope: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope = scope
        await send({"type": "http.response.start", "status": 200, "headers": list(self.headers)})


async def answered_headers(inner: Inner, *headers: tuple[bytes, bytes]) -> dict[bytes, bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await EdgeHeaders(inner)({"type": "http", "headers": list(headers)}, None, send)  # type: ignore[arg-type]
    return dict(sent[0]["headers"])


async def test_what_anybody_can_write_does_not_reach_the_application() -> None:
    inner = Inner()
    await answered_headers(inner, (b"x-forwarded-proto", b"https"), (b"x-forwarded-host", b"evil"), (b"host", b"a"))

    assert inner.scope["headers"] == [(b"host", b"a")]


async def test_that_a_request_came_through_a_proxy_stays_visible() -> None:
    inner = Inner()
    await answered_headers(inner, (b"x-forwarded-for", b"10.0.0.1"), (b"forwarded", b"for=10.0.0.1"))

    assert not may_come_without_credentials(
        socket_headers(inner.scope), address="127.0.0.1", scheme="ws", is_production=False, allowed=[]
    )


async def test_answers_allow_the_microphone_to_this_site_alone() -> None:
    headers = await answered_headers(Inner())

    assert "microphone=(self)" in headers[b"permissions-policy"].decode()
    assert headers[b"cross-origin-opener-policy"] == b"same-origin"


async def test_a_header_that_the_application_set_stays() -> None:
    headers = await answered_headers(Inner((b"Cross-Origin-Opener-Policy", b"unsafe-none")))

    assert headers[b"Cross-Origin-Opener-Policy"] == b"unsafe-none"
    assert b"cross-origin-opener-policy" not in headers
