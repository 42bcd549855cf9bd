"""The audio of a session over the HTTP API."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.translation import gettext as _
from ninja import Query, Router, Schema
from pydantic import Field

from speechsite.config import get_config
from transcription.access import audible_sessions, get_session
from transcription.audit.recording import record_listening
from transcription.errors import NotFound
from transcription.identity.scopes import Scope
from transcription.models import TranscriptionSession
from transcription.recording.listening_in import live_response
from transcription.recording.models import SessionRecording
from transcription.recording.parts import PartFolder
from transcription.recording.peaks import FULL
from transcription.recording.serving import audio_response
from transcription.recording.storage import CONTENT_TYPES
from transcription.rest.authentication import principal_of
from transcription.rest.errors import ONE_OBJECT_ERRORS
from transcription.rest.schemas import ErrorAnswer

router = Router(tags=["sessions"])
AUDIO = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in CONTENT_TYPES.values()}
AUDIO_RESPONSES = {
    200: {"description": "The whole file", "content": AUDIO},
    206: {"description": "The part that was asked for", "content": AUDIO},
    304: {"description": "What the client has is what there is"},
    416: {"description": "The recording has no such part"},
}
State = SessionRecording.State


class AudioQuery(Schema):
    live: bool = Field(default=False, description="Follow a session while it is spoken, as a WAV file without an end.")
    download: bool = Field(default=False, description="To be saved rather than played.")


class PeaksAnswer(Schema):
    """How loud a recording is over its length."""

    session_id: str
    duration_ms: int = Field(description="Length of the recording")
    step_ms: int = Field(description="What each peak stands for")
    peaks: list[float] = Field(description="The loudest sample of each step, 0.0-1.0 of full scale; 12,001 at most")
    missing: list[tuple[int, int]] = Field(description="[start_ms, end_ms): silence in place of audio that never came")
    is_partial: bool = Field(description="Whether audio that came was not kept")


@router.api_operation(
    ["GET", "HEAD"],
    "/sessions/{session_id}/audio",
    operation_id="read_audio",
    summary="The audio of a session, where it was kept, or what a Range asks for of it",
    response={200: None, ONE_OBJECT_ERRORS | {429, 507}: ErrorAnswer},
    openapi_extra={"responses": AUDIO_RESPONSES},
)
def read_audio(
    request: HttpRequest, session_id: str, options: Query[AudioQuery]
) -> HttpResponse | StreamingHttpResponse:
    session = _audible(request, session_id)
    record_listening(session, is_live=options.live)
    if options.live:
        config = get_config()
        folder = _recording(session, to_finish=False).folder
        if request.method == "HEAD":
            return HttpResponse(content_type="audio/wav")
        return live_response(session, folder, principal_of(request), PartFolder.of(config), config.max_audio_listeners)
    recording = _recording(session)
    return audio_response(request, recording, session.public_id, as_attachment=options.download)


@router.get(
    "/sessions/{session_id}/peaks",
    operation_id="read_peaks",
    summary="How loud the audio of a session is over its length, for a waveform",
    response={200: PeaksAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_peaks(request: HttpRequest, session_id: str) -> dict[str, Any]:
    recording = _recording(_audible(request, session_id))
    return {
        "session_id": session_id,
        "duration_ms": recording.duration_ms,
        "step_ms": recording.peak_ms,
        "peaks": [round(peak / FULL, 2) for peak in bytes(recording.peaks)],
        "missing": recording.missing,
        "is_partial": recording.state == State.PARTIAL,
    }


def _audible(request: HttpRequest, session_id: str) -> TranscriptionSession:
    principal = principal_of(request, Scope.SESSIONS_READ)
    return get_session(session_id, principal, audible_sessions(principal))


def _recording(session: TranscriptionSession, *, to_finish: bool = True) -> SessionRecording:
    """Raises NotFound, saying whether there never was one, is none yet or is none any more."""
    recording = SessionRecording.objects.filter(session=session).first()
    if recording is None or recording.state == State.FAILED:
        raise NotFound(_("The audio of this session was not kept."), reason="no_audio")
    if recording.state == State.DELETED:
        raise NotFound(_("The audio of this session was deleted."), reason="audio_deleted")
    if to_finish and not recording.is_kept:
        raise NotFound(_("The audio of this session is not ready yet."), reason="audio_not_ready")
    return recording
