"""What is done to several sessions at once. Who may is asked of access/, for each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from transcription import services
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import NotFound, SessionTaken
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.past.models import ReviewAssignment
from transcription.review import operations
from transcription.review.authors import Author
from transcription.review.errors import EditConflict, ReviewRefused
from transcription.review.models import Review
from transcription.search.session_list import PAGE_SIZE, with_facts

What = AuditEvent.What
# From more on a deletion has to be typed.
DELETED_BY_A_CLICK = 10


class Outcome(NamedTuple):
    """How many it was done to, and the names of those it could not be done to."""

    done: int
    refused: list[str]


def choose(
    listed: QuerySet[TranscriptionSession], allowed: QuerySet[TranscriptionSession], public_ids: Sequence[str]
) -> tuple[list[TranscriptionSession], list[str]]:
    """The sessions with these ids that are allowed, newest first, and the names of those that may only be seen.

    At most a page of them; ids of what may not be seen, or is gone, count for nothing.
    """
    wanted = [public_id for public_id in public_ids if "\0" not in public_id][:PAGE_SIZE]
    seen = with_facts(listed.filter(public_id__in=wanted))
    permitted = set(allowed.filter(pk__in=[session.pk for session in seen]).values_list("pk", flat=True))
    chosen = [session for session in seen if session.pk in permitted]
    return chosen, [str(session) for session in seen if session.pk not in permitted]


def delete_sessions(sessions: Sequence[TranscriptionSession]) -> Outcome:
    """Delete sessions one after the other; live and protected ones stay."""
    refused = []
    for session in sessions:
        try:
            services.delete_session(session)
        except SessionTaken:
            refused.append(str(session))
    return Outcome(len(sessions) - len(refused), refused)


def mark_reviewed(sessions: Sequence[TranscriptionSession], principal: Principal) -> Outcome:
    """Mark transcripts reviewed as they stand; those that are not ended, or are edited meanwhile, stay open."""
    author = Author.of(principal)
    versions = dict(
        Review.objects.filter(session__in=[session.pk for session in sessions]).values_list("session", "version")
    )
    refused = []
    for session in sessions:
        try:
            operations.mark_reviewed(session, author, versions.get(session.pk, 0))
        except (ReviewRefused, EditConflict, NotFound):
            refused.append(str(session))
    return Outcome(len(sessions) - len(refused), refused)


def must_be_typed(count: int) -> bool:
    return count > DELETED_BY_A_CLICK


def assign_reviewer(sessions: Sequence[TranscriptionSession], reviewer: User | None, by: int | None) -> Outcome:
    """Let somebody review sessions, in the place of whoever was to; nobody for None."""
    if reviewer is None:
        with transaction.atomic():
            assigned = ReviewAssignment.objects.filter(session__in=sessions).select_related("session", "reviewer")
            for assignment in assigned.select_for_update(of=("self",)):
                record(What.EDITED, assignment.session, kind="reviewer_removed", reviewer=str(assignment.reviewer))
            assigned.delete()
        return Outcome(len(sessions), [])
    now = timezone.now()
    with transaction.atomic():
        # Those that were deleted meanwhile are left out; the others cannot be, before this is stored.
        there = TranscriptionSession.objects.select_for_update().filter(pk__in=[session.pk for session in sessions])
        keys = list(there.order_by("pk").values_list("pk", flat=True))
        for session in sessions:
            if session.pk in keys:
                record(What.EDITED, session, kind="reviewer_assigned", reviewer=str(reviewer))
        ReviewAssignment.objects.bulk_create(
            [ReviewAssignment(session_id=key, reviewer=reviewer, assigned_by_id=by, assigned_at=now) for key in keys],
            update_conflicts=True,
            unique_fields=["session"],
            update_fields=["reviewer", "assigned_by", "assigned_at"],
        )
    return Outcome(len(keys), [])
