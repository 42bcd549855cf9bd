"""Operations of the HTTP API on stored sessions."""

from __future__ import annotations

from typing import Literal

from django.contrib.auth import get_user_model
from django.http import HttpRequest, StreamingHttpResponse
from ninja import Query, Router, Status

from transcription import services
from transcription.access import (
    changeable_sessions,
    deletable_sessions,
    exportable_sessions,
    get_session,
    listed_sessions,
    may_read_all_captions,
    stoppable_sessions,
    visible_sessions,
)
from transcription.audit.recording import record_search
from transcription.exports import CONTENT_TYPES, ExportOptions, transcript_response
from transcription.exports.formats import BINARY
from transcription.identity.scopes import Scope
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, COMMON_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.schemas import (
    Cursor,
    ErrorAnswer,
    SessionAnswer,
    SessionChanges,
    SessionListQuery,
    SessionPage,
    StopAnswer,
    StopRequest,
    TranscriptAnswer,
)
from transcription.search.queries import search_sessions
from transcription.search.session_list import with_facts

router = Router(tags=["sessions"])
OTHER_TYPES = {
    content_type.partition(";")[0]: {"schema": {"type": "string"} | ({"format": "binary"} if format in BINARY else {})}
    for format, content_type in CONTENT_TYPES.items()
    if format != "json"
}


@router.get(
    "/sessions",
    operation_id="list_sessions",
    summary="Sessions, newest first",
    response={200: SessionPage, COMMON_ERRORS: ErrorAnswer},
)
def list_sessions(request: HttpRequest, filters: Query[SessionListQuery]) -> SessionPage:
    principal = principal_of(request, Scope.SESSIONS_READ)
    sessions = listed_sessions(principal).filter(filters.conditions())
    if filters.cursor:
        sessions = sessions.filter(Cursor.parse(filters.cursor).conditions())
    least = filters.limit + 1
    chosen = search_sessions(sessions, filters.q, limit=least, readable=visible_sessions(principal))
    found = with_facts(chosen[:least])
    page = found[: filters.limit]
    has_more = len(found) > len(page)
    if filters.q.strip() and may_read_all_captions(principal):
        # Which sessions are found tells what is said in them.
        record_search(page, filters.q)
    return SessionPage(
        sessions=[SessionAnswer.of(session) for session in page],
        next=str(Cursor(page[-1].created_at, page[-1].pk)) if has_more else None,
    )


@router.get(
    "/sessions/{session_id}",
    operation_id="read_session",
    summary="One session",
    response={200: SessionAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_session(request: HttpRequest, session_id: str) -> SessionAnswer:
    return SessionAnswer.of(get_session(session_id, principal_of(request, Scope.SESSIONS_READ)))


@router.patch(
    "/sessions/{session_id}",
    operation_id="change_session",
    summary="Give a session another title or other metadata",
    response={200: SessionAnswer, ONE_OBJECT_ERRORS | BODY_ERRORS: ErrorAnswer},
)
def change_session(request: HttpRequest, session_id: str, changes: SessionChanges) -> SessionAnswer:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    session = get_session(session_id, principal, changeable_sessions(principal))
    services.change_session(session, **changes.model_dump(exclude_unset=True))
    return SessionAnswer.of(session)


@router.post(
    "/sessions/{session_id}/stop",
    operation_id="stop_session",
    summary="Stop a session that is live or waits for its client; its last words are still stored",
    response={200: StopAnswer, ONE_OBJECT_ERRORS | BODY_ERRORS: ErrorAnswer},
)
def stop_session(request: HttpRequest, session_id: str, options: StopRequest | None = None) -> StopAnswer:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    session = get_session(session_id, principal, stoppable_sessions(principal))
    who = get_user_model().objects.filter(pk=principal.user_id or 0).first()
    was_asked = services.request_stop(session, who, options.reason if options else "")
    # Once more: as it is now, or not found where somebody deleted it meanwhile.
    return StopAnswer.of(get_session(session_id, principal), was_asked)


@router.get(
    "/sessions/{session_id}/transcript",
    operation_id="read_transcript",
    summary="The transcript of a session as JSON, plain text, SubRip, WebVTT, CSV or a DOCX document",
    response={200: TranscriptAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
    openapi_extra={"responses": {200: {"content": OTHER_TYPES}}},
)
def read_transcript(
    request: HttpRequest,
    session_id: str,
    options: Query[ExportOptions],
    format: Literal["json", "txt", "srt", "vtt", "csv", "docx"] = "json",
) -> StreamingHttpResponse:
    principal = principal_of(request, Scope.SESSIONS_READ)
    session = get_session(session_id, principal, exportable_sessions(principal))
    return transcript_response(request, session, format, options, as_attachment=False)


@router.delete(
    "/sessions/{session_id}",
    operation_id="delete_session",
    summary="Delete a session that has ended, with its segments",
    response={204: None, ONE_OBJECT_ERRORS | {409}: ErrorAnswer},
)
def delete_session(request: HttpRequest, session_id: str) -> Status[None]:
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    services.delete_session(get_session(session_id, principal, deletable_sessions(principal)))
    return Status(204, None)
