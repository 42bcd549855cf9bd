"""Files in one process: receiving them, and hearing one while its client waits."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from transcription.audio.containers import FileInfo, FileLimits
from transcription.engine.live import LiveTranscription
from transcription.events import Event
from transcription.files.body import Upload, Uploads
from transcription.files.decoding import Decoding
from transcription.files.engine import DIALECT, FileSession, options_of_file
from transcription.files.folder import UploadFolder
from transcription.identity.principals import Principal
from transcription.process import Process, SessionBounds, get_process

# What is heard as fast as it can be is idle only where the recogniser is away, which its watchers see sooner.
IDLE_TIMEOUT_S = 600.0
LANGUAGES_TIMEOUT_S = 3.0
SESSION_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends a file. address, user_agent: as they are stored with the session."""

    principal: Principal
    address: str | None
    user_agent: str


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is being heard. info: what it says of itself."""

    session: FileSession
    info: FileInfo


class Files:
    """One per process and event loop."""

    def __init__(self, process: Process) -> None:
        config = process.config
        self.process = process
        self.folder = UploadFolder.of(config)
        self.uploads = Uploads(self.folder, at_once=config.max_uploads_at_once, max_bytes=config.max_upload_bytes)
        self.request_timeout_s = config.file_request_timeout_seconds
        self.request_limits = FileLimits(round(config.max_file_request_audio_minutes * 60_000), config.max_file_streams)
        self.job_limits = FileLimits(round(config.max_file_audio_minutes * 60_000), config.max_file_streams)
        self.max_jobs_per_owner = config.max_file_jobs_per_owner

    @asynccontextmanager
    async def heard(
        self, upload: Upload, options: dict[str, Any], client: Client, *, dialect: str = DIALECT
    ) -> AsyncIterator[OpenFile]:
        """A file through a session of its own, for a client that waits; see FileSession.

        options: of the session, as in `start_transcription`; the audio format is the file's own. Raises BadAudio for
        what is no audio, MessageTooLarge for more of it than is answered in a request, and what keeps a session from
        starting. Leaving it early, or being cancelled, ends the session and the decoder.
        """
        async with Decoding(upload.file, self.request_limits) as decoded:
            new = await self.process.new_session(
                session_id=new_session_id(),
                principal=client.principal,
                options=options_of_file(options),
                client_address=client.address,
                user_agent=client.user_agent,
                dialect=dialect,
            )
            bounds = SessionBounds(self.request_timeout_s, IDLE_TIMEOUT_S, resume_window_s=0.0)

            def make_live(emit: Callable[[Event], None]) -> LiveTranscription:
                return self.process.transcribe(new, emit=emit, bounds=bounds)

            async with FileSession(self.process, make_live, lambda _start: decoded.chunks()) as session:
                yield OpenFile(session, decoded.info)

    async def languages(self) -> tuple[str, ...]:
        """What the recogniser offers; none if it does not say."""
        models = await self.process.recogniser.describe(LANGUAGES_TIMEOUT_S)
        return tuple(language for model in models if model.streaming for language in model.languages)


def new_session_id() -> str:
    return secrets.token_urlsafe(SESSION_ID_BYTES)


_files: Files | None = None
_loop: asyncio.AbstractEventLoop | None = None


def get_files() -> Files:
    """The Files of the running event loop, as get_process() is its Process."""
    global _files, _loop
    loop = asyncio.get_running_loop()
    if _files is None or _loop is not loop:
        _files, _loop = Files(get_process()), loop
    return _files
