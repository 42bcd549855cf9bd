"""A session whose audio is kept and that is taken up again: from where its client sends it again."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

import structlog

from transcription.audio.formats import AudioFormat
from transcription.console.live_database import DATABASE_ERRORS
from transcription.engine.resuming import stored_config
from transcription.recording.models import SessionRecording
from transcription.recording.parts import Part, PartFolder, folder_name
from transcription.recording.plan import missing
from transcription.recording.tape import Problem
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.steps import Resume, Taken

log = structlog.get_logger(__name__)

# The client waits; if it takes longer, the recording has a hole of some moments.
LOOK_TIMEOUT_S = 3.0


async def with_kept_audio(taken: Taken, resume: Resume, folder: PartFolder, threads: DatabaseThreads) -> Taken:
    """The same with kept_bytes, where the last moments before the settled position were not written any more.

    The client still has them: it was not told that they are safe.
    """
    config = stored_config(taken.applied)
    if not config.keep_audio or not config.audio_format.has_constant_rate:
        return taken
    try:
        if not await threads.run(_is_recorded, taken.handle.pk, timeout_s=LOOK_TIMEOUT_S):
            return taken
        async with asyncio.timeout(LOOK_TIMEOUT_S):
            parts = await asyncio.to_thread(folder.parts, folder_name(taken.handle.pk, taken.handle.created_at))
    except (*DATABASE_ERRORS, OSError) as error:
        log.warning("kept_audio_not_looked_at", error=type(error).__name__)
        return taken
    settled = taken.handle.committed_bytes
    held_from = 0 if resume.held_from is None else resume.held_from - taken.header_bytes
    kept = kept_to(parts, settled, held_from, config.audio_format)
    return dataclasses.replace(taken, kept_bytes=kept) if kept < settled else taken


async def note_stopped_soon(pk: int, problem: Problem, threads: DatabaseThreads) -> None:
    """Write on its row why a recording stopped; without that the job that joins it finds it incomplete."""
    try:
        await threads.run(_note_stopped, pk, problem, timeout_s=LOOK_TIMEOUT_S)
    except DATABASE_ERRORS as error:
        log.warning("recording_stop_not_noted", error=type(error).__name__)


def kept_to(parts: Sequence[Part], settled: int, held_from: int, audio_format: AudioFormat) -> int:
    """Up to where the audio before settled is kept, or before what the client holds. Pure."""
    spans = missing(parts, settled)
    if not spans or spans[-1][1] < settled:
        return settled
    # Up to a whole sample: of the one it begins with it may have a part only.
    held = audio_format.align(held_from + audio_format.bytes_per_sample_set - 1)
    return min(settled, max(audio_format.align(spans[-1][0]), held))


def _note_stopped(pk: int, problem: Problem) -> None:
    SessionRecording.objects.filter(session_id=pk, state=SessionRecording.State.RECORDING).update(reason=problem)


def _is_recorded(pk: int) -> bool:
    """False once recording stopped: then the client was told of what is settled, written or not."""
    recording = SessionRecording.objects.filter(session_id=pk, state=SessionRecording.State.RECORDING)
    return recording.filter(reason="").exists()
