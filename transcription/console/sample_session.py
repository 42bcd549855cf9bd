"""A test session: a clip that comes with the service goes through the recogniser as if somebody spoke it now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import BinaryIO

import structlog
from django.utils.translation import gettext as _

from speechsite.config import BASE_DIR
from transcription.audio.containers import SAMPLE_RATE_HZ, FileLimits
from transcription.engine.live import LiveTranscription
from transcription.errors import TooFast, TranscriptionError
from transcription.events import Event
from transcription.files.decoding import DecodedFile, Decoding
from transcription.files.engine import FileSession, options_of_file
from transcription.files.service import Client, new_session_id
from transcription.process import Process, SessionBounds
from transcription.storage.steps import NewSession

log = structlog.get_logger(__name__)

SAMPLE = BASE_DIR / "static" / "audio" / "sample.flac"
DIALECT = "test"
# Of one process; each takes a place like any other session.
MAX_AT_ONCE = 3
CHUNK_MS = 100
CHUNK_BYTES = SAMPLE_RATE_HZ * 2 * CHUNK_MS // 1000
LIMITS = FileLimits(max_audio_ms=120_000, max_streams=1)
BOUNDS = SessionBounds(session_timeout_s=300.0, idle_timeout_s=60.0, resume_window_s=0.0)


class SampleSessions:
    """Those that this process plays at the moment. They end with the clip, or as any session does."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self._playing: set[asyncio.Task[None]] = set()

    async def start(self, client: Client) -> str:
        """Begin to play; returns the session's id once it is live.

        Raises TooFast where MAX_AT_ONCE are played already, and what keeps a session from starting.
        """
        if len(self._playing) >= MAX_AT_ONCE:
            raise TooFast(_("Enough test sessions are running. Wait until one is over."), reason="too_many_tests")
        started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        # In a context of its own: the request's thread, to which sync code would go, ends with the request.
        playing = asyncio.create_task(self._play(client, started, _("Test session")), context=Context())
        self._playing.add(playing)
        playing.add_done_callback(self._playing.discard)
        await asyncio.wait((playing, started), return_when=asyncio.FIRST_COMPLETED)
        if not started.done():
            await playing
        return started.result()

    async def _play(self, client: Client, started: asyncio.Future[str], title: str) -> None:
        try:
            with SAMPLE.open("rb") as file:
                await self._play_file(file, client, started, title)
        except TranscriptionError as error:
            if not started.done():
                started.set_exception(error)
            else:
                # Its row says how it ended.
                log.info("test_session_ended", reason=error.reason)

    async def _play_file(self, file: BinaryIO, client: Client, started: asyncio.Future[str], title: str) -> None:
        async with Decoding(file, LIMITS) as decoded:
            new = await self._new(client, title)

            def make_live(emit: Callable[[Event], None]) -> LiveTranscription:
                return self.process.transcribe(new, emit=emit, bounds=BOUNDS)

            async with FileSession(self.process, make_live, lambda _start: spoken(decoded)) as session:
                started.set_result(session.session_id)
                async for _final in session.finals():
                    pass

    async def _new(self, client: Client, title: str) -> NewSession:
        options = {"title": title, "keep_audio": False}
        return await self.process.new_session(
            session_id=new_session_id(),
            principal=client.principal,
            options=options_of_file(options) | {"enable_interim_results": True},
            client_address=client.address,
            user_agent=client.user_agent,
            dialect=DIALECT,
        )


async def spoken(decoded: DecodedFile) -> AsyncGenerator[bytes, None]:
    """The clip in pieces of CHUNK_MS, each when it would have been said."""
    clock = asyncio.get_running_loop().time
    began_s, sent = clock(), 0
    async for block in decoded.chunks():
        for start in range(0, len(block), CHUNK_BYTES):
            piece = block[start : start + CHUNK_BYTES]
            sent += len(piece)
            await asyncio.sleep(max(0.0, began_s + sent / (SAMPLE_RATE_HZ * 2) - clock()))
            yield piece


_samples: SampleSessions | None = None


def get_samples(process: Process) -> SampleSessions:
    """Those of this process, made when first asked for."""
    global _samples
    if _samples is None or _samples.process is not process:
        _samples = SampleSessions(process)
    return _samples
