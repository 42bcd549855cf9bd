"""Terms of single sessions: they go when that says, whatever the rules say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models.functions import Now

from transcription.audit.actors import current_actor
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.models import TranscriptionSession
from transcription.retention.models import OwnTerm


def set_term(sessions: Sequence[TranscriptionSession], days: int | None) -> list[TranscriptionSession]:
    """Have sessions deleted so many days from now; None: as the rules say. Returns those that are there still."""
    actor = current_actor()
    with transaction.atomic():
        there = TranscriptionSession.objects.select_for_update().filter(pk__in=[session.pk for session in sessions])
        found = list(there.order_by("pk"))
        if days is None:
            OwnTerm.objects.filter(session__in=found).delete()
        else:
            OwnTerm.objects.bulk_create(
                [
                    OwnTerm(session=session, ends_at=Now() + timedelta(days=days), set_by_id=actor.user_id)
                    for session in found
                ],
                update_conflicts=True,
                unique_fields=["session"],
                update_fields=["ends_at", "set_by"],
            )
        for session in found:
            record(AuditEvent.What.EDITED, session, fields=["retention"], days="" if days is None else str(days))
    return found


def terms_of(session_keys: Iterable[int]) -> dict[int, datetime]:
    """When each of these is deleted by its own term; those without one are left out."""
    return dict(OwnTerm.objects.filter(session__in=list(session_keys)).values_list("session_id", "ends_at"))
