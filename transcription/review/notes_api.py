"""Operations of the HTTP API on the notes of a session."""

from __future__ import annotations

from typing import Annotated

from django.http import HttpRequest
from ninja import Path, Router, Status

from transcription import access
from transcription.audit.recording import record_watching
from transcription.identity.scopes import Scope
from transcription.models import TranscriptionSession
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.idempotency_key import idempotent
from transcription.rest.schemas import ErrorAnswer
from transcription.review import notes
from transcription.review.answers import NoteAnswer, NoteList
from transcription.review.authors import Author
from transcription.review.models import SessionNote
from transcription.review.requests import NewNote, NoteChange

router = Router(tags=["review"])
NOTES = "/sessions/{session_id}/notes"
NoteId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get(
    NOTES,
    operation_id="list_notes",
    summary="Bookmarks and notes of a session, by time",
    response={200: NoteList, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def list_notes(request: HttpRequest, session_id: str) -> NoteList:
    session, author = _session(request, session_id, Scope.SESSIONS_READ)
    record_watching(session)
    return NoteList(notes=[NoteAnswer.of(note, author.holder) for note in notes.notes_of(session)])


@router.post(
    NOTES,
    operation_id="add_note",
    summary="Put a bookmark or note at a time of a session, be it live or over",
    response={201: NoteAnswer, ONE_OBJECT_ERRORS | BODY_ERRORS: ErrorAnswer},
)
@idempotent()
def add_note(request: HttpRequest, session_id: str, wanted: NewNote) -> Status[NoteAnswer]:
    session, author = _session(request, session_id, Scope.SESSIONS_WRITE)
    note = notes.add(session, author, **wanted.model_dump())
    return Status(201, NoteAnswer.of(note, author.holder))


@router.patch(
    f"{NOTES}/{{note_id}}",
    operation_id="change_note",
    summary="Change a note: your own, or any where you may review the transcript",
    response={200: NoteAnswer, ONE_OBJECT_ERRORS | BODY_ERRORS: ErrorAnswer},
)
def change_note(request: HttpRequest, session_id: str, note_id: NoteId, wanted: NoteChange) -> NoteAnswer:
    note, author = _note(request, session_id, note_id)
    notes.change(note, **wanted.model_dump())
    return NoteAnswer.of(note, author.holder)


@router.delete(
    f"{NOTES}/{{note_id}}",
    operation_id="delete_note",
    summary="Delete a note: your own, or any where you may review the transcript",
    response={204: None, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def delete_note(request: HttpRequest, session_id: str, note_id: NoteId) -> Status[None]:
    note, _author = _note(request, session_id, note_id)
    notes.delete(note)
    return Status(204, None)


def _session(request: HttpRequest, session_id: str, scope: Scope) -> tuple[TranscriptionSession, Author]:
    principal = principal_of(request, scope)
    session = access.get_session(session_id, principal, access.visible_sessions(principal))
    return session, Author.of(principal)


def _note(request: HttpRequest, session_id: str, number: int) -> tuple[SessionNote, Author]:
    session, author = _session(request, session_id, Scope.SESSIONS_WRITE)
    may_review = access.may_review(principal_of(request), session)
    return notes.get(session, number, author, may_change_all=may_review), author
