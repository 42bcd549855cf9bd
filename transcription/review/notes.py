"""Bookmarks and notes on a session, at times of its audio; live ones take them too."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import NotAllowed, NotFound, TooFast
from transcription.models import TranscriptionSession
from transcription.review.authors import Author
from transcription.review.models import SessionNote

MAX_NOTES_PER_SESSION = 1000


def add(session: TranscriptionSession, author: Author, kind: str, time_ms: int, text: str) -> SessionNote:
    """Raises TooFast (`too_many_notes`) if it has MAX_NOTES_PER_SESSION already."""
    if SessionNote.objects.filter(session_id=session.pk).count() >= MAX_NOTES_PER_SESSION:
        message = _("This session has too many notes. Delete some first.")
        raise TooFast(message, reason="too_many_notes", retryable=False)
    with transaction.atomic():
        note = SessionNote.objects.create(
            session_id=session.pk,
            kind=kind,
            time_ms=time_ms,
            text=text,
            user_id=author.user_id,
            holder=author.holder,
            by=author.name,
        )
        record(AuditEvent.What.EDITED, session, kind="note_added", note=note.pk)
    return note


def notes_of(session: TranscriptionSession) -> list[SessionNote]:
    """By time."""
    return list(SessionNote.objects.filter(session_id=session.pk).order_by("time_ms", "pk"))


def get(session: TranscriptionSession, number: int, author: Author, *, may_change_all: bool) -> SessionNote:
    """The note to change or delete. may_change_all: those of others too. Raises NotFound, NotAllowed."""
    note = SessionNote.objects.filter(session_id=session.pk, pk=number).first()
    if note is None:
        raise NotFound(_("There is no such note."))
    if note.holder != author.holder and not may_change_all:
        raise NotAllowed(_("This note is somebody else's."))
    return note


def change(note: SessionNote, *, time_ms: int | None = None, text: str | None = None) -> None:
    """None leaves what is there."""
    if time_ms is not None:
        note.time_ms = time_ms
    if text is not None:
        note.text = text
    note.changed_at = timezone.now()
    with transaction.atomic():
        note.save(update_fields=["time_ms", "text", "changed_at"])
        record(AuditEvent.What.EDITED, note.session, kind="note_changed", note=note.pk)


def delete(note: SessionNote) -> None:
    with transaction.atomic():
        record(AuditEvent.What.EDITED, note.session, kind="note_deleted", note=note.pk)
        note.delete()
