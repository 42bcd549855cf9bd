"""Who edits which segment right now: told to others, and kept for a short while that its holder renews."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from transcription.models import TranscriptionSession
from transcription.review.authors import Author
from transcription.review.errors import ReviewRefused
from transcription.review.models import EditLock
from transcription.review.passages import PassageId

# Pages renew theirs each 10 s, so that one lost request does not lose it.
LOCK_S = 30


def hold(session: TranscriptionSession, id: PassageId, author: Author, *, take: bool = False) -> EditLock:
    """Hold a segment for LOCK_S, again if it is held already. take: from somebody else too.

    Call it where nobody else asks at the same time: in the transaction of editing.editing(). Raises ReviewRefused
    (`segment_locked`), which names who holds it.
    """
    if not take:
        refuse_if_held(session, [id], author)
    now = timezone.now()
    EditLock.objects.filter(session=session, expires_at__lte=now).delete()
    lock, _made = EditLock.objects.update_or_create(
        session=session,
        index=id.index,
        part=id.part,
        defaults={"holder": author.holder, "by": author.name, "expires_at": now + timedelta(seconds=LOCK_S)},
    )
    return lock


def release(session: TranscriptionSession, id: PassageId, author: Author) -> None:
    """Let go of a segment; does nothing if it is somebody else's, or nobody's."""
    EditLock.objects.filter(session=session, index=id.index, part=id.part, holder=author.holder).delete()


def current(session: TranscriptionSession) -> list[EditLock]:
    return list(EditLock.objects.filter(session=session, expires_at__gt=timezone.now()).order_by("index", "part"))


def refuse_if_held(session: TranscriptionSession, ids: Collection[PassageId], author: Author) -> None:
    """Raise ReviewRefused if somebody else edits one of them."""
    wanted = set(ids)
    others = EditLock.objects.filter(~Q(holder=author.holder), session=session, expires_at__gt=timezone.now())
    for lock in others:
        if PassageId(lock.index, lock.part) in wanted:
            message = _("%(who)s is editing this segment.") % {"who": lock.by}
            raise ReviewRefused(message, reason="segment_locked", retryable=True, retry_after_ms=LOCK_S * 1000)
