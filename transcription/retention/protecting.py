"""Keeping a session from deletion, whoever wants it: rules, people, keys, commands."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction
from django.utils.translation import gettext as _

from transcription.access import Who, may_unprotect
from transcription.audit.actors import current_actor
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import BadConfig, NotAllowed, SessionTaken
from transcription.models import TranscriptionSession
from transcription.options import clean_text
from transcription.retention.models import MAX_REASON_CHARACTERS, Protection, Tombstone

What = AuditEvent.What


def protect(session: TranscriptionSession, reason: str) -> Protection:
    """Keep a session until unprotect(). One that is protected already keeps its reason.

    Raises BadConfig without a reason, and SessionTaken for one that was never started or is being deleted.
    """
    reason = " ".join(clean_text(reason).split())
    if not reason:
        raise BadConfig(_("Say why the session is to be protected."), reason="reason_missing", field="reason")
    if len(reason) > MAX_REASON_CHARACTERS:
        text = _("The reason may have %(count)d characters.") % {"count": MAX_REASON_CHARACTERS}
        raise BadConfig(text, reason="reason_too_long", field="reason")
    actor = current_actor()
    with transaction.atomic():
        # A deletion begins under the same lock.
        row = TranscriptionSession.objects.select_for_update().filter(pk=session.pk).first()
        if row is None or Tombstone.objects.filter(session_key=session.pk, finished_at=None).exists():
            raise SessionTaken(_("This session is being deleted."), reason="session_deleted")
        if row.state == TranscriptionSession.State.CREATED:
            raise SessionTaken(_("This session was never started."), reason="session_not_started")
        protection, is_new = Protection.objects.get_or_create(
            session=row,
            defaults={
                "reason": reason,
                "user_id": actor.user_id,
                "api_key_id": actor.key_id,
                "protected_by": actor.label[:150],
            },
        )
        if is_new:
            record(What.PROTECTED, row, reason=reason)
    return protection


def unprotect(session: TranscriptionSession, who: Who) -> bool:
    """Let a session be deleted again. Returns whether it was protected. Raises NotAllowed unless they may end that."""
    with transaction.atomic():
        protection = Protection.objects.select_for_update().filter(session_id=session.pk).first()
        if protection is None:
            return False
        if not may_unprotect(who, protection):
            raise NotAllowed(
                _("Only who protected this session, or somebody who looks after protections, may end that.")
            )
        record(What.UNPROTECTED, session, reason=protection.reason, protected_by=protection.protected_by)
        protection.delete()
    return True


def is_protected(session: TranscriptionSession) -> bool:
    return Protection.objects.filter(session_id=session.pk).exists()


def reasons_of(session_keys: Iterable[int]) -> dict[int, str]:
    """Why each of these is protected; those that are not are left out."""
    found = Protection.objects.filter(session__in=list(session_keys))
    return dict(found.values_list("session_id", "reason"))


def check_not_protected(session: TranscriptionSession) -> None:
    """Raises SessionTaken, with the reason, for a session that may not be deleted. Under the lock of its row."""
    protection = Protection.objects.filter(session_id=session.pk).first()
    if protection is not None:
        text = _("This session is protected: %(reason)s") % {"reason": protection.reason}
        raise SessionTaken(text, reason="session_protected")
