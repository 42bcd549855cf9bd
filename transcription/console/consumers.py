"""The socket of the console: all live sessions."""

from __future__ import annotations

import json
from typing import cast

from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from transcription import access
from transcription.audit.actors import Actor, acting, actor_of_socket
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record_once_an_hour
from transcription.console.live_view import View
from transcription.console.viewer_sockets import ViewerSocket
from transcription.errors import BadMessage, NotAllowed, NotAuthenticated, TranscriptionError
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope
from transcription.safe_json import parse_object
from transcription.services import request_stop

MAX_TEXT_CHARACTERS = 32 * 1024
# More than fit on any screen; of more than these all are told.
MAX_IN_SIGHT = 300


class ConsoleConsumer(ViewerSocket):
    """Sends the frames of a View to a person's browser."""

    _view: View | None = None

    def check(self, principal: Principal) -> None:
        if principal.kind == "local":
            raise NotAuthenticated(_("Log in to see live sessions."))
        access.require_scope(principal, Scope.SESSIONS_READ)
        if not access.may_watch_live(principal):
            raise NotAllowed(_("Your account may not watch live sessions."))
        self._captions = access.may_read_all_captions(principal)
        record_once_an_hour(AuditEvent.What.WATCHED_CONSOLE, actor=actor_of_socket(principal, self.scope))

    @property
    def _actor(self) -> Actor:
        assert self._principal is not None  # noqa: S101 - authenticated before
        return actor_of_socket(self._principal, self.scope)

    async def tell(self) -> None:
        view = self._view = self._process.views.open(captions=self._captions)
        try:
            async for frame in view.frames():
                await self.say(frame)
        finally:
            self._view = None
            await self._process.views.close(view)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """`{"type": "stop", "session_id", "reason"}`, or `{"type": "in_sight", "session_ids": […] or null}`: which rows
        are worth telling of. Anything else is answered with an error.
        """
        if self._principal is None or self._work is None:
            return
        try:
            self.count_message()
            message = parse_object((text_data or "")[:MAX_TEXT_CHARACTERS])
            if message.get("type") == "in_sight":
                self._show(message.get("session_ids"))
                return
            if message.get("type") != "stop":
                raise BadMessage(_("type must be stop or in_sight."), reason="unknown_type", field="type")
            session_id = str(message.get("session_id", ""))
            stopped = await self.ask(_stop, self._principal, self._actor, session_id, str(message.get("reason", "")))
            answer = {"event": "stop_requested", "session_id": session_id, "was_live": stopped}
        except TranscriptionError as error:
            answer = {"event": "error", "code": error.code, "message": error.message}
        await self.send(json.dumps(answer))

    def _show(self, session_ids: object) -> None:
        is_list = isinstance(session_ids, list) and all(isinstance(session_id, str) for session_id in session_ids)
        if session_ids is not None and not is_list:
            raise BadMessage(_("session_ids must be a list of ids, or null."), reason="bad_field", field="session_ids")
        if self._view is not None:
            chosen = cast("list[str] | None", session_ids)
            self._view.show(chosen if chosen is None or len(chosen) <= MAX_IN_SIGHT else None)


def _stop(principal: Principal, actor: Actor, session_id: str, reason: str) -> bool:
    access.require_scope(principal, Scope.SESSIONS_WRITE)
    session = access.get_session(session_id, principal, access.stoppable_sessions(principal))
    user = get_user_model().objects.get(pk=principal.user_id) if principal.user_id is not None else None
    with acting(actor):
        return request_stop(session, user, reason)
