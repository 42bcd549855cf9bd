"""A file's audio, decoded by a process of its own as fast as it is taken."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, BinaryIO

import structlog
from django.utils.translation import gettext as _

from speechsite.config import BASE_DIR
from transcription.audio.containers import FileInfo, FileLimits
from transcription.errors import BadAudio, InternalError, MessageTooLarge, TranscriptionError
from transcription.files.decoder import END, HEAD, INFO, MAX_MESSAGE_BYTES, PCM

log = structlog.get_logger(__name__)

# Opening reads the beginning of the file, of some kinds also its end.
INFO_TIMEOUT_S = 30.0
# One chunk; a file may have minutes of what is no audio before the next.
CHUNK_TIMEOUT_S = 120.0
END_TIMEOUT_S = 10.0
# Several times what the largest file of the tests takes; a bomb wants thousands of times as much.
MAX_MEMORY_BYTES = 1024**3
# A core decodes some hundred times as fast as audio is spoken.
MIN_CPU_S, CPU_S_PER_AUDIO_MINUTE = 60, 4
# What is decoded ahead of its reader.
READ_AHEAD_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class DecodedFile:
    """A file's audio as it comes. info: what the file says of itself."""

    info: FileInfo
    _process: asyncio.subprocess.Process

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Mono PCM16 at 16 kHz, at most 0.5 s each. Raises BadAudio and MessageTooLarge (longer than allowed)."""
        while True:
            kind, content = await _read(self._process, CHUNK_TIMEOUT_S)
            if kind == END:
                return
            if kind != PCM:
                raise _wrong(content)
            yield content


class Decoding:
    """`async with Decoding(file, limits) as decoded:`; at its end nothing of it runs any more.

    file: an open file of this machine, read from its beginning. skip_bytes: of the PCM, to be left out.
    Entering raises BadAudio for what is no audio, MessageTooLarge for too long a file.
    """

    def __init__(self, file: BinaryIO, limits: FileLimits, *, skip_bytes: int = 0) -> None:
        self._file = file
        self._limits = limits
        self._skip_bytes = skip_bytes
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> DecodedFile:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "transcription.files.decoder",
            json.dumps(self._orders()),
            # Nothing of ours is its business.
            env={},
            cwd=BASE_DIR,
            stdin=self._file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            limit=READ_AHEAD_BYTES,
        )
        try:
            kind, content = await _read(self._process, INFO_TIMEOUT_S)
            if kind != INFO:
                raise _wrong(content)
            info = FileInfo(**json.loads(content))
            most_ms = self._limits.max_audio_ms
            if most_ms is not None and info.duration_ms is not None and info.duration_ms > most_ms:
                raise audio_too_long(most_ms)
        except BaseException:
            await self._end()
            raise
        return DecodedFile(info, self._process)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._end()

    def _orders(self) -> dict[str, Any]:
        minutes = (self._limits.max_audio_ms or 0) // 60_000
        return {
            "max_audio_ms": self._limits.max_audio_ms,
            "max_streams": self._limits.max_streams,
            "skip_bytes": self._skip_bytes,
            "max_memory_bytes": MAX_MEMORY_BYTES,
            "max_cpu_s": MIN_CPU_S + CPU_S_PER_AUDIO_MINUTE * minutes,
        }

    async def _end(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Shielded: a process that nobody waits for stays in the table as a zombie.
        await asyncio.shield(asyncio.wait_for(_gone(process), END_TIMEOUT_S))


async def _gone(process: asyncio.subprocess.Process) -> None:
    """Read to the end: a pipe with unread bytes keeps asyncio from noticing."""
    if process.stdout is not None:
        while await process.stdout.read(READ_AHEAD_BYTES):
            pass
    await process.wait()


async def _read(process: asyncio.subprocess.Process, timeout_s: float) -> tuple[bytes, bytes]:
    """The next message. Raises BadAudio if the decoder died or stands still."""
    assert process.stdout is not None  # noqa: S101 - made with a pipe
    try:
        async with asyncio.timeout(timeout_s):
            kind, size_bytes = HEAD.unpack(await process.stdout.readexactly(HEAD.size))
            if size_bytes > MAX_MESSAGE_BYTES:
                raise InternalError(_("Something went wrong on our side."))
            return kind, await process.stdout.readexactly(size_bytes) if size_bytes else b""
    except TimeoutError:
        log.warning("decoder_silent", timeout_s=timeout_s)
    except asyncio.IncompleteReadError:
        log.warning("decoder_died", code=process.returncode)
    raise BadAudio(_("The file cannot be decoded: it takes too much time or memory, or is damaged."), reason="damaged")


def _wrong(content: bytes) -> TranscriptionError:
    problem = json.loads(content)
    if problem["problem"] == "too_long":
        return MessageTooLarge(problem["message"], reason="audio_too_long", field="file")
    return BadAudio(problem["message"], reason=problem["problem"], field="file")


def audio_too_long(max_audio_ms: int) -> MessageTooLarge:
    return MessageTooLarge(
        _("The audio is longer than %(minutes)g min, the most that is taken here.")
        % {"minutes": max_audio_ms / 60_000},
        reason="audio_too_long",
        field="file",
    )
