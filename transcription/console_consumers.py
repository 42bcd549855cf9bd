"""The sockets of the console's pages: all live sessions, and one session."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar
from urllib.parse import parse_qs

from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from transcription import access
from transcription.auth import WrongOrigin, authenticate_socket
from transcription.credential_watch import Watched
from transcription.errors import AtCapacity, BadMessage, NotAllowed, NotAuthenticated, TranscriptionError
from transcription.live_view import DATABASE_ERRORS, View
from transcription.principals import Principal
from transcription.process import Process, get_process
from transcription.safe_json import parse_object
from transcription.scopes import Scope
from transcription.services import request_stop

ANSWER_TIMEOUT_S = 5.0
MAX_TEXT_CHARACTERS = 4096

T = TypeVar("T")


class ViewConsumer(AsyncWebsocketConsumer, ABC):
    """Sends the frames of one View to a person's browser."""

    # The process listens to the layer for all its viewers: a broken layer cannot end this socket.
    channel_layer_alias: ClassVar[str] = "none"

    def __init__(self, *, process_of: Callable[[], Process] = get_process) -> None:
        super().__init__()
        self._process = process_of()
        self._view: View | None = None
        self._sending: asyncio.Task[None] | None = None
        self._principal: Principal | None = None
        self._watched: Watched | None = None
        self._refusing: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        error: TranscriptionError | None = None
        try:
            self._principal = await authenticate_socket(self.scope)
            options = await self._ask(self._check, self._principal)
        except WrongOrigin:
            await self.close()
            return
        except TranscriptionError as caught:
            error = caught
        await self.accept()
        if error is not None:
            await self._refuse(error)
            return
        assert self._principal is not None  # noqa: S101 - nothing was refused
        self._watched = self._process.credentials.watch(self._principal, self._lose_credentials)
        self._view = self._process.views.open(**options)
        self._sending = asyncio.create_task(self._send_frames(self._view))

    async def _ask(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function in a database thread. Raises AtCapacity where the database does not answer."""
        try:
            return await self._process.threads.run(function, *args, timeout_s=ANSWER_TIMEOUT_S)
        except DATABASE_ERRORS:
            raise AtCapacity(
                _("The database does not answer; please try again."), reason="storage_unavailable"
            ) from None

    @abstractmethod
    def _check(self, principal: Principal) -> dict[str, Any]:
        """Arguments of LiveViews.open, in a database thread. Raises a TranscriptionError for who may not watch."""

    async def _refuse(self, error: TranscriptionError) -> None:
        await self.send(json.dumps({"event": "error", "code": error.code, "message": error.message}))
        await self.close(error.code)

    def _lose_credentials(self, error: TranscriptionError) -> None:
        if self._sending is not None:
            self._sending.cancel()
        self._refusing = asyncio.create_task(self._refuse(error))

    async def _send_frames(self, view: View) -> None:
        async for frame in view.frames():
            await self.send(frame)

    async def disconnect(self, code: int) -> None:
        if self._watched is not None:
            self._watched.leave()
        if self._refusing is not None:
            await asyncio.gather(self._refusing, return_exceptions=True)
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        if self._view is not None:
            await self._process.views.close(self._view)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`{"type": "stop", "session_id", "reason"}`; anything else is answered with an error."""
        if self._principal is None or self._view is None:
            return
        try:
            message = parse_object((text_data or "")[:MAX_TEXT_CHARACTERS])
            if message.get("type") != "stop":
                raise BadMessage(_("type must be stop."), reason="unknown_type", field="type")
            session_id = str(message.get("session_id", ""))
            stopped = await self._ask(_stop, self._principal, session_id, str(message.get("reason", "")))
            answer = {"event": "stop_requested", "session_id": session_id, "was_live": stopped}
        except TranscriptionError as error:
            answer = {"event": "error", "code": error.code, "message": error.message}
        await self.send(json.dumps(answer))


class ConsoleConsumer(ViewConsumer):
    """All live sessions."""

    def _check(self, principal: Principal) -> dict[str, Any]:
        if principal.kind == "local":
            raise NotAuthenticated(_("Log in to see live sessions."))
        access.require_scope(principal, Scope.SESSIONS_READ)
        if not access.may_watch_live(principal):
            raise NotAllowed(_("Your account may not watch live sessions."))
        return {"captions": access.may_read_all_captions(principal)}


class SessionConsumer(ViewConsumer):
    """One session; `?after=N`: segments up to N are on the page already."""

    def _check(self, principal: Principal) -> dict[str, Any]:
        session_id = self.scope["url_route"]["kwargs"]["session_id"]
        access.require_scope(principal, Scope.SESSIONS_READ)
        access.get_session(session_id, principal, access.visible_sessions(principal))
        after = parse_qs(self.scope.get("query_string", b"").decode("latin-1")).get("after", ["-1"])[0]
        return {"session_id": session_id, "captions": True, "after": int(after) if after.isdecimal() else -1}


def _stop(principal: Principal, session_id: str, reason: str) -> bool:
    access.require_scope(principal, Scope.SESSIONS_WRITE)
    session = access.get_session(session_id, principal, access.stoppable_sessions(principal))
    user = get_user_model().objects.get(pk=principal.user_id) if principal.user_id is not None else None
    return request_stop(session, user, reason)
