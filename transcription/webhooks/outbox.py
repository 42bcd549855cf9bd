"""The ends of sessions, noted in the transaction that ends them, so that none is ever missed.

Whoever sets an end calls note_end() in the same transaction: either the session has ended and its end is noted, or
neither. Nothing is sent from there. Where nobody has an endpoint it costs one look at an empty table, once a session.
A session that is being deleted is not noted: nobody may be told of it any more.
"""

from __future__ import annotations

from django.db import transaction

from transcription.models import TranscriptionSession
from transcription.webhooks.models import SessionEnd, WebhookEndpoint


def note_end(*sessions: TranscriptionSession) -> None:
    """Note that these sessions, rows as they are now stored, have ended; those that have not are left out.

    Raises TransactionManagementError outside a transaction.
    """
    ends = [
        SessionEnd(session_id=session.pk, epoch=session.epoch, state=session.state)
        for session in sessions
        if session.has_ended
    ]
    if not ends:
        return
    if not transaction.get_connection().in_atomic_block:
        raise transaction.TransactionManagementError("note_end() belongs into the transaction that ends the session")
    if WebhookEndpoint.objects.filter(enabled=True).exists():
        SessionEnd.objects.bulk_create(ends)
