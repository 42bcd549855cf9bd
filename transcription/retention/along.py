"""What goes with a session that is deleted: the sessions of its reruns. They say what was said in it.

Whoever deletes a recording means what was spoken, so a rerun is not kept longer than its original, whosever it is.
Reruns that wait are forgotten; one that is being heard, or that is protected, keeps the original too.
"""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.errors import SessionTaken
from transcription.files.models import FileJob
from transcription.models import TranscriptionSession
from transcription.retention.models import Protection

UNFINISHED = (FileJob.State.QUEUED, FileJob.State.RUNNING)


def lock_reruns(session: TranscriptionSession) -> list[TranscriptionSession]:
    """The sessions of its reruns. Within the transaction that has locked its own row.

    Raises SessionTaken where one of them may not go: `rerun_running`, `session_protected`.
    """
    jobs = FileJob.objects.filter(rerun_of=session.pk)
    # Nobody begins with one whose row is locked; it is gone when they look again.
    list(jobs.filter(state__in=UNFINISHED).select_for_update().values_list("pk"))
    if jobs.filter(state__in=UNFINISHED, lease_until__gt=Now()).exists():
        raise _is_running()
    # By the id as well: a rerun is tied to its original only once it has begun.
    begun = Q(rerun_of=session.pk) | Q(public_id__in=list(jobs.values_list("public_id", flat=True)))
    reruns = list(TranscriptionSession.objects.select_for_update().filter(begun).order_by("pk"))
    if any(rerun.is_live for rerun in reruns):
        raise _is_running()
    protection = Protection.objects.filter(session__in=[rerun.pk for rerun in reruns]).first()
    if protection is not None:
        text = _("A rerun of this session is protected: %(reason)s") % {"reason": protection.reason}
        raise SessionTaken(text, reason="session_protected")
    return reruns


def _is_running() -> SessionTaken:
    text = _("This session is being run again right now. Cancel that, or wait until it is done.")
    return SessionTaken(text, reason="rerun_running")


def forget_waiting(session_key: int) -> None:
    """Reruns that were asked for and have not begun, or wait for another attempt."""
    FileJob.objects.filter(rerun_of=session_key, state__in=UNFINISHED).delete()


def has_protected_rerun() -> Exists:
    """A condition on sessions."""
    return Exists(TranscriptionSession.objects.filter(rerun_of=OuterRef("pk"), protection__isnull=False))


def reruns_along(sessions: QuerySet[TranscriptionSession]) -> QuerySet[TranscriptionSession]:
    """Sessions that go because one of these does, and are not among these themselves."""
    keys = sessions.order_by().values("pk")
    return TranscriptionSession.objects.filter(rerun_of__in=keys).exclude(pk__in=keys).order_by()


def count_reruns(sessions: Iterable[TranscriptionSession]) -> int:
    """How many sessions go along with these."""
    keys = [session.pk for session in sessions]
    return TranscriptionSession.objects.filter(rerun_of__in=keys).exclude(pk__in=keys).count()
