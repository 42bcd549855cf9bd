"""Corrections made in the admin, segment by segment: they are changes of the review like all others."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.utils.translation import gettext as _

from transcription.models import TranscriptSegment
from transcription.review.authors import Author
from transcription.review.editing import editing
from transcription.review.errors import ReviewRefused
from transcription.review.operations import edit_passage
from transcription.review.passages import PassageId


def correct(segment: TranscriptSegment, user: User | AnonymousUser) -> None:
    """Store the text, speaker and mark that a segment's row has now.

    Raises ReviewRefused: `not_ended`, `reviewed`, `segment_locked`, and `in_parts` where it was split or joined, which
    the review page shows better.
    """
    assert isinstance(user, User)  # noqa: S101 - nobody else gets into the admin
    author = Author.of_user(user)
    id = PassageId(segment.index)
    with editing(segment.session, author) as work:
        passage = work.find(id)
        if passage.id != id or not work.reading(passage).is_whole:
            message = _("This segment was split or joined in the review. Correct it there.")
            raise ReviewRefused(message, reason="in_parts")
        edit_passage(work, passage, text=segment.text, speaker=segment.speaker, reviewed=segment.reviewed)
