"""Who may see and cancel which file jobs."""

from __future__ import annotations

import re

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from transcription.access.people import Permission, Who, has_all, own, user_of
from transcription.errors import NotFound
from transcription.files.models import FileJob
from transcription.options import SESSION_ID_PATTERN


def visible_jobs(who: Who) -> QuerySet[FileJob]:
    """File jobs that may be seen: one's own, and all by who may see every session."""
    user = user_of(who)
    if has_all(user, {Permission.VIEW}):
        return FileJob.objects.all()
    return FileJob.objects.filter(own(who, user))


def get_job(public_id: str, who: Who) -> FileJob:
    """The job with this id, its session at hand. Raises NotFound if they may not see it."""
    is_an_id = re.fullmatch(SESSION_ID_PATTERN, public_id) is not None
    job = visible_jobs(who).select_related("session").filter(public_id=public_id).first() if is_an_id else None
    if job is None:
        raise NotFound(_("There is no such file job."))
    return job


def may_cancel_job(who: Who, job: FileJob) -> bool:
    """Their own, or by who may stop sessions of others."""
    user = user_of(who)
    return has_all(user, {Permission.STOP}) or FileJob.objects.filter(own(who, user), pk=job.pk).exists()
