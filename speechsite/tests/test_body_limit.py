"""Bodies that are too large are refused before Django gathers them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from speechsite.body_limit import BodyLimit


class Reading:
    """An application that reads the whole body first, as Django does. body: what it has read."""

    def __init__(self) -> None:
        self.body = b""
        self.has_answered = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        while True:
            message = await receive()
            self.body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        self.has_answered = True
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"fine", "more_body": False})


async def ask(application: Reading, pieces: Sequence[bytes], length: bytes | None = None) -> tuple[int, bytes]:
    left, sent = list(pieces), []

    async def receive() -> Any:
        return {"type": "http.request", "body": left.pop(0), "more_body": bool(left)}

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [] if length is None else [(b"content-length", length)]
    await BodyLimit(application, 10)({"type": "http", "headers": headers}, receive, send)
    return sent[0]["status"], sent[1]["body"]


@pytest.mark.parametrize("length", [None, b"10", b"rubbish"])
async def test_a_body_within_the_limit_reaches_the_application(length: bytes | None) -> None:
    application = Reading()

    assert await ask(application, [b"12345", b"67890"], length) == (200, b"fine")
    assert application.body == b"1234567890"


async def test_a_body_that_says_it_is_too_large_is_not_read() -> None:
    application = Reading()
    status, body = await ask(application, [b"12345678901"], b"11")

    assert (status, json.loads(body)["reason"], application.body) == (413, "body_too_large", b"")


async def test_a_body_that_becomes_too_large_is_read_no_further() -> None:
    application = Reading()
    status, _body = await ask(application, [b"12345", b"67890", b"1", b"2"])

    assert (status, application.body, application.has_answered) == (413, b"1234567890", False)
