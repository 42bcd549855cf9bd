"""The socket of the console: all live sessions."""

from __future__ import annotations

import json

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from transcription import access
from transcription.errors import BadMessage, NotAllowed, NotAuthenticated, TranscriptionError
from transcription.principals import Principal
from transcription.safe_json import parse_object
from transcription.scopes import Scope
from transcription.services import request_stop
from transcription.viewer_sockets import ViewerSocket

MAX_TEXT_CHARACTERS = 4096


class ConsoleConsumer(ViewerSocket):
    """Sends the frames of a View to a person's browser."""

    def check(self, principal: Principal) -> None:
        if principal.kind == "local":
            raise NotAuthenticated(_("Log in to see live sessions."))
        access.require_scope(principal, Scope.SESSIONS_READ)
        if not access.may_watch_live(principal):
            raise NotAllowed(_("Your account may not watch live sessions."))
        self._captions = access.may_read_all_captions(principal)

    async def tell(self) -> None:
        view = self._process.views.open(captions=self._captions)
        try:
            async for frame in view.frames():
                await self.say(frame)
        finally:
            await self._process.views.close(view)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`{"type": "stop", "session_id", "reason"}`; anything else is answered with an error."""
        if self._principal is None or self._work is None:
            return
        try:
            message = parse_object((text_data or "")[:MAX_TEXT_CHARACTERS])
            if message.get("type") != "stop":
                raise BadMessage(_("type must be stop."), reason="unknown_type", field="type")
            session_id = str(message.get("session_id", ""))
            stopped = await self.ask(_stop, self._principal, session_id, str(message.get("reason", "")))
            answer = {"event": "stop_requested", "session_id": session_id, "was_live": stopped}
        except TranscriptionError as error:
            answer = {"event": "error", "code": error.code, "message": error.message}
        await self.send(json.dumps(answer))


def _stop(principal: Principal, session_id: str, reason: str) -> bool:
    access.require_scope(principal, Scope.SESSIONS_WRITE)
    session = access.get_session(session_id, principal, access.stoppable_sessions(principal))
    user = get_user_model().objects.get(pk=principal.user_id) if principal.user_id is not None else None
    return request_stop(session, user, reason)
