"""The addresses to which files are sent, answered before Django would read them whole.

Credentials and length are looked at before the body; a client that leaves ends its work at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from django.db import DatabaseError, IntegrityError, InterfaceError
from django.http import HttpResponse
from django.utils.translation import gettext as _

from speechsite.config import get_config
from transcription.access import require_scope
from transcription.errors import InternalError, NotAllowed, StorageUnavailable, TranscriptionError
from transcription.files.body import ClientGone
from transcription.files.service import Client, Files, get_files
from transcription.identity.auth import WrongOrigin, authenticate_socket
from transcription.identity.credentials import header_credential
from transcription.identity.origins import socket_headers
from transcription.identity.scopes import Scope
from transcription.storage.database_threads import TooManyJobs

log = structlog.get_logger(__name__)

Send = Callable[[Any], Awaitable[None]]
Receive = Callable[[], Awaitable[Any]]
T = TypeVar("T")
DATABASE_TIMEOUT_S = 10.0
# Of a stream in which nothing happens; proxies let go of silent connections after some 60 s.
KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": listening\n\n"
EXPOSED_HEADERS = "Retry-After, X-Request-ID, Location"


@dataclass(frozen=True, slots=True)
class Request:
    """A request with a file, whose client is known. receive: its body, which nobody has read yet."""

    scope: Mapping[str, Any]
    receive: Receive
    files: Files
    client: Client

    async def in_database(self, function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run a database function on the process's own threads. Raises what it raises, or StorageUnavailable."""
        try:
            return await self.files.process.threads.run(function, *args, timeout_s=DATABASE_TIMEOUT_S, **kwargs)
        except IntegrityError:
            raise
        except (DatabaseError, InterfaceError, TimeoutError, TooManyJobs) as error:
            log.warning("database_silent", error=type(error).__name__)
            raise StorageUnavailable(_("The database does not answer. Please try again.")) from None


class Reply:
    """The one answer to a request."""

    def __init__(self, send: Send, headers: Mapping[str, str]) -> None:
        self._send = send
        self._headers = headers
        self.has_begun = False

    async def send(self, response: HttpResponse) -> None:
        body = response.content
        given = {**dict(response.items()), "Content-Length": str(len(body))}
        await self._begin(response.status_code, given)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})

    async def stream(self, pieces: AsyncIterator[bytes]) -> None:
        """Server-sent events as they come, and a comment now and then while none do."""
        await self._begin(200, {"Content-Type": "text/event-stream; charset=utf-8", "X-Accel-Buffering": "no"})
        async for piece in _with_keep_alives(pieces):
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.has_begun = True
        every = {"Cache-Control": "no-store", **self._headers, **headers}
        encoded = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": encoded})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """answer: reads the request and replies. on_error: an error in the shape that clients of the address expect.

    schemes: of the Authorization header; X-API-Key and a login are taken everywhere.
    """

    answer: Callable[[Request, Reply], Awaitable[None]]
    on_error: Callable[[TranscriptionError], HttpResponse]
    schemes: Sequence[str] = ("Bearer",)


class FileEndpoints:
    """ASGI: answers POST at these addresses and hands every other request on."""

    def __init__(
        self, application: Any, endpoints: Mapping[str, Endpoint], *, files_of: Callable[[], Files] = get_files
    ) -> None:
        self.application = application
        self._endpoints = endpoints
        self._files_of = files_of

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        endpoint = self._endpoints.get(scope["path"]) if scope["type"] == "http" else None
        if endpoint is None or scope["method"] != "POST":
            await self.application(scope, receive, send)
            return
        is_read = asyncio.Event()

        async def receive_body() -> Any:
            message = await receive()
            if not message.get("more_body", False):
                is_read.set()
            return message

        reply = Reply(send, _cors_headers(scope))
        working = asyncio.create_task(self._work(endpoint, scope, receive_body, reply))
        leaving = asyncio.create_task(_left(is_read, receive))
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                log.info("upload_abandoned", path=scope["path"])
        finally:
            # What was begun is released here, also where the server program ends this request.
            for task in (working, leaving):
                task.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)
        if not working.cancelled():
            working.result()

    async def _work(self, endpoint: Endpoint, scope: Any, receive: Receive, reply: Reply) -> None:
        try:
            files = self._files_of()
            await files.process.start()
            client = await _client_of(scope, endpoint.schemes)
            await endpoint.answer(Request(scope, receive, files, client), reply)
        except TranscriptionError as error:
            await self._refuse(endpoint, error, reply)
        except ClientGone:
            log.info("upload_abandoned", path=scope["path"])
        except Exception:
            # The edge of these addresses: whatever is left is our fault.
            log.exception("upload_failed", path=scope["path"])
            await self._refuse(endpoint, InternalError(_("Something went wrong on our side.")), reply)

    async def _refuse(self, endpoint: Endpoint, error: TranscriptionError, reply: Reply) -> None:
        if not reply.has_begun:
            await reply.send(endpoint.on_error(error))


async def _left(is_read: asyncio.Event, receive: Receive) -> None:
    """Returns when the client leaves; before its body is read, whoever reads that hears of it."""
    await is_read.wait()
    while (await receive())["type"] != "http.disconnect":
        pass


async def _client_of(scope: Mapping[str, Any], schemes: Sequence[str]) -> Client:
    """Raises NotAuthenticated, NotAllowed, and AtCapacity where credentials cannot be looked up."""

    def credential_of(headers: Mapping[str, str], _subprotocols: Sequence[str]) -> str | None:
        found = (header_credential(headers, scheme=scheme) for scheme in schemes)
        return next((credential for credential in found if credential is not None), headers.get("x-api-key"))

    try:
        principal = await authenticate_socket(scope, credential_of=credential_of)
    except WrongOrigin as error:
        raise NotAllowed(error.message, reason=error.reason) from None
    require_scope(principal, Scope.TRANSCRIBE)
    address = scope.get("client")
    user_agent = socket_headers(scope).get("user-agent", "")
    return Client(principal, address[0] if address else None, user_agent)


def _cors_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """What lets pages of ALLOWED_ORIGINS read the answer; Django's middleware answers their preflights."""
    origin = socket_headers(scope).get("origin")
    if origin is None or origin not in get_config().allowed_origins:
        return {"Vary": "Origin"}
    return {
        "Vary": "Origin",
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Expose-Headers": EXPOSED_HEADERS,
    }


async def _with_keep_alives(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    iterator = aiter(pieces)
    coming: asyncio.Future[bytes] = asyncio.ensure_future(anext(iterator))
    try:
        while True:
            done, _pending = await asyncio.wait({coming}, timeout=KEEP_ALIVE_S)
            if not done:
                yield KEEP_ALIVE
                continue
            try:
                piece = coming.result()
            except StopAsyncIteration:
                return
            coming = asyncio.ensure_future(anext(iterator))
            yield piece
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
