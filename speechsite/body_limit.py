"""How large the body of an ordinary request may be. Files go elsewhere (transcription/files)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.typing import ASGI3Application
from django.utils.translation import gettext as _

from transcription.errors import MessageTooLarge
from transcription.rest.errors import error_response

# Django takes 2.5 MiB into memory, and would write what is larger to the disk before it asks who sends it.
MAX_BODY_BYTES = 3 * 1024 * 1024


class _TooLarge(Exception):
    """More came than is taken."""


class BodyLimit:
    """ASGI: answers 413 to larger bodies, at once where they say their length."""

    def __init__(self, application: ASGI3Application, max_bytes: int = MAX_BODY_BYTES) -> None:
        self.application = application
        self._max_bytes = max_bytes

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        if _length_of(scope) > self._max_bytes:
            await self._refuse(send)
            return
        try:
            await self.application(scope, self._counted(receive), send)
        except _TooLarge:
            await self._refuse(send)

    def _counted(self, receive: Callable[[], Awaitable[Any]]) -> Any:
        received = 0

        async def receive_some() -> Any:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._max_bytes:
                raise _TooLarge
            return message

        return receive_some

    async def _refuse(self, send: Callable[[Any], Awaitable[None]]) -> None:
        message = _("The request is larger than %(size)d bytes.") % {"size": self._max_bytes}
        answer = error_response(MessageTooLarge(message, reason="body_too_large"))
        headers = [(name.lower().encode(), value.encode()) for name, value in answer.items()]
        await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
        await send({"type": "http.response.body", "body": answer.content, "more_body": False})


def _length_of(scope: Any) -> int:
    lengths = (value for name, value in scope["headers"] if name == b"content-length" and value.isdigit())
    return max(map(int, lengths), default=0)
