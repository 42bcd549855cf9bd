"""Hearing a session while it is spoken, some seconds behind: its parts as they grow, as a WAV file without an end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from asgiref.sync import sync_to_async
from django.db import close_old_connections
from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _

from transcription.access import audible_sessions
from transcription.errors import NotFound, TooFast, TranscriptionError
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.process import get_process
from transcription.recording.parts import PartFolder
from transcription.recording.reading import read
from transcription.recording.wav import build_header

# What a listener begins with; the writer writes once a second.
BEHIND_S = 3.0
# Who falls further behind, since its connection is slow or it paused, goes on near the end.
MAX_BEHIND_S = 30.0
POLL_S = 0.5
# Whether the session is still spoken, and may still be heard.
CHECK_EVERY_S = 5.0
DISK_TIMEOUT_S = 30.0
RETRY_AFTER_MS = 10_000

State = TranscriptionSession.State


class Places:
    """How many listen in this process."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = threading.Lock()

    def take(self, most: int) -> Place:
        """Raises TooFast where all are taken."""
        with self._lock:
            if self._taken >= most:
                raise TooFast(
                    _("Too many people are listening. Please try again in a moment."),
                    reason="too_many_listeners",
                    retry_after_ms=RETRY_AFTER_MS,
                )
            self._taken += 1
        return Place(self)

    def give_back(self) -> None:
        with self._lock:
            self._taken -= 1


class Place:
    """One listener's; released any number of times."""

    def __init__(self, places: Places) -> None:
        self._places: Places | None = places

    def release(self) -> None:
        places, self._places = self._places, None
        if places is not None:
            places.give_back()


places = Places()


def live_response(
    session: TranscriptionSession, recording_folder: str, who: Principal, folder: PartFolder, most: int
) -> StreamingHttpResponse:
    """What is written so far from a few seconds back, and on as it comes. Raises NotFound and TooFast."""
    if session.state not in (State.LIVE, State.DETACHED) or not session.audio_format.has_constant_rate:
        raise NotFound(_("Nobody can listen to this session now."), reason="not_live")
    place = places.take(most)
    stream = _follow(session, recording_folder, who, folder, place)
    response = StreamingHttpResponse(stream, content_type="audio/wav", headers={"Cache-Control": "private, no-store"})
    response._resource_closers.append(place.release)  # type: ignore[attr-defined]
    return response


async def _follow(
    session: Any, recording_folder: str, who: Principal, folder: PartFolder, place: Place
) -> AsyncIterator[bytes]:
    audio_format = session.audio_format
    rate = audio_format.bytes_per_second
    over = asyncio.Event()
    process = get_process()

    def on_revoked(_error: TranscriptionError) -> None:
        over.set()

    watched = process.credentials.watch(who, on_revoked)
    loop = asyncio.get_running_loop()
    checked_at_s, position = loop.time(), None
    try:
        yield build_header(audio_format, None)
        while not over.is_set() and not process.draining:
            async with asyncio.timeout(DISK_TIMEOUT_S):
                parts = await asyncio.to_thread(folder.parts, recording_folder)
            end = audio_format.align(max((part.end for part in parts), default=0))
            if position is None or end - position > MAX_BEHIND_S * rate:
                position = max(0, audio_format.align(end - round(BEHIND_S * rate)))
            blocks = read(parts, audio_format, position, max(position, end))
            while block := await asyncio.to_thread(next, blocks, b""):
                yield block
                position += len(block)
            if loop.time() - checked_at_s >= CHECK_EVERY_S:
                checked_at_s = loop.time()
                if not await sync_to_async(_may_go_on, thread_sensitive=True)(session.pk, who):
                    return
            await asyncio.sleep(POLL_S)
    finally:
        watched.leave()
        place.release()


def _may_go_on(pk: int, who: Principal) -> bool:
    try:
        return audible_sessions(who).filter(pk=pk, state__in=(State.LIVE, State.DETACHED)).exists()
    finally:
        close_old_connections()
