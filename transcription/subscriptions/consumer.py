"""`/api/v1/sessions/{session_id}/events`: one session as other programs see it happen. An adapter."""

from __future__ import annotations

import asyncio

from django.utils.translation import gettext as _

from transcription import access
from transcription.audit.actors import acting, actor_of_socket
from transcription.audit.recording import record_watching
from transcription.console.live_database import DATABASE_ERRORS, READ_TIMEOUT_S
from transcription.console.viewer_sockets import ViewerSocket
from transcription.errors import BadMessage, NotFound, StorageUnavailable, TranscriptionError
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope
from transcription.safe_json import parse_object
from transcription.subscriptions.feed import Feed
from transcription.subscriptions.options import SubscriptionOptions, parse_options
from transcription.subscriptions.picture import Picture
from transcription.subscriptions.watched import READ_AGAIN_S, WatchedSession

MAX_TEXT_CHARACTERS = 1024


class SubscriptionConsumer(ViewerSocket):
    """A snapshot, then what changes, at the pace of the client."""

    _options: SubscriptionOptions

    @property
    def _session_id(self) -> str:
        return str(self.scope["url_route"]["kwargs"]["session_id"])

    def check(self, principal: Principal) -> None:
        self._options = parse_options(self.scope.get("query_string", b"").decode("latin-1"))
        access.require_scope(principal, Scope.SESSIONS_READ)
        session = access.get_session(self._session_id, principal, access.visible_sessions(principal))
        with acting(actor_of_socket(principal, self.scope)):
            record_watching(session)

    async def tell(self) -> None:
        assert self._principal is not None  # noqa: S101 - authenticated before
        with self._process.subscription_places.taken(self._principal, self._session_id):
            watched = self._process.views.subscribe(self._session_id)
            try:
                await self._tell_of(watched)
            finally:
                await self._process.views.unsubscribe(watched)

    async def _tell_of(self, watched: WatchedSession) -> None:
        feed = Feed(self._options)
        picture = await _first_picture(watched)
        await _read_page(feed, picture, watched)
        await self.say(feed.first(picture).model_dump_json())
        while not feed.has_ended:
            await _read_page(feed, picture, watched)
            message = feed.next(picture)
            if message is not None:
                await self.say(message.model_dump_json())
                picture = await watched.changed(None)
            elif not feed.has_ended:
                picture = await watched.changed(picture)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        """A subscriber has nothing to say but `{"type": "keepalive"}`, for networks that cut silent connections."""
        try:
            self.count_message()
            message = parse_object((text_data or "")[:MAX_TEXT_CHARACTERS])
            if message != {"type": "keepalive"}:
                raise BadMessage(_("Here only a keepalive may be sent."), reason="unknown_type", field="type")
        except TranscriptionError as error:
            self.fail(error)


async def _first_picture(watched: WatchedSession) -> Picture:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            picture = await watched.changed(None)
    except TimeoutError:
        raise StorageUnavailable(_("The database does not answer; please try again.")) from None
    if picture.facts is None:
        raise NotFound(_("There is no such transcription session."))
    return picture


async def _read_page(feed: Feed, picture: Picture, watched: WatchedSession) -> None:
    """Give the feed the older segments it lacks, however long the database takes."""
    while (indexes := feed.wanted_page(picture)) is not None:
        try:
            feed.take_page(await watched.page(indexes))
            return
        except DATABASE_ERRORS:
            await asyncio.sleep(READ_AGAIN_S)
