"""What the list tells of each session of a page: its own row, and what belongs to it in other tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Avg
from django.utils.translation import gettext as _

from transcription.access import Who, visible_sessions
from transcription.console.numbers import lost_ms
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.pages.words import TONES, end_in_words, seconds_in_words
from transcription.past.models import ReviewAssignment
from transcription.review.models import Review
from transcription.search.queries import Hit

State = TranscriptionSession.State


@dataclass(frozen=True, slots=True)
class Row:
    """A session in the list. confidence: 0.0 to 1.0, None where none is known. errors: sentences."""

    session: TranscriptionSession
    tone: str
    who: str
    hits: list[Hit]
    confidence: float | None
    review: str
    reviewer: str
    errors: list[str]

    @property
    def audio_ms(self) -> int:
        """Of one that has not ended what is settled: its own field is written at the end."""
        return self.session.audio_ms if self.session.has_ended else self.session.committed_ms

    @property
    def percent(self) -> int | None:
        return None if self.confidence is None else round(self.confidence * 100)


def make_rows(who: Who, sessions: Sequence[TranscriptionSession], hits: dict[int, list[Hit]]) -> list[Row]:
    """Rows of a page, in a few statements however many there are."""
    confidences = mean_confidences(who, sessions)
    reviews = review_states(sessions)
    reviewers = reviewers_of(sessions)
    return [
        Row(
            session=session,
            tone=TONES.get(session.state, ""),
            who=speaker_of(session),
            hits=hits.get(session.pk, []),
            confidence=confidences.get(session.pk),
            review=reviews.get(session.pk, ""),
            reviewer=reviewers.get(session.pk, ""),
            errors=errors_of(session),
        )
        for session in sessions
    ]


def mean_confidences(who: Who, sessions: Sequence[TranscriptionSession]) -> dict[int, float]:
    """Of the segments whose recogniser told one (0.0: it did not), by the session's key; where the text may be read."""
    readable = visible_sessions(who).filter(pk__in=[session.pk for session in sessions]).values("pk")
    known = TranscriptSegment.objects.filter(session__in=readable, confidence__gt=0).order_by()
    return dict(known.values_list("session").annotate(mean=Avg("confidence")))


def review_states(sessions: Sequence[TranscriptionSession]) -> dict[int, str]:
    """`reviewed` or `started` by the session's key; of those that nobody has touched nothing."""
    reviews = Review.objects.filter(session__in=[session.pk for session in sessions])
    states = {}
    for key, version, reviewed_at in reviews.values_list("session", "version", "reviewed_at"):
        if reviewed_at is not None:
            states[key] = "reviewed"
        elif version:
            states[key] = "started"
    return states


def reviewers_of(sessions: Sequence[TranscriptionSession]) -> dict[int, str]:
    assigned = ReviewAssignment.objects.filter(session__in=[session.pk for session in sessions])
    return {found.session_id: name_of(found.reviewer) for found in assigned.select_related("reviewer")}


def errors_of(session: TranscriptionSession) -> list[str]:
    """What went wrong: how it ended, and how much of its audio was lost on the way."""
    errors = [end_in_words(session)] if session.state in (State.FAILED, State.INTERRUPTED) else []
    length_ms = lost_ms(session)
    if session.gaps or length_ms:
        errors.append(_("%(length)s of audio lost") % {"length": seconds_in_words(length_ms)})
    return [error for error in errors if error]


def speaker_of(session: TranscriptionSession) -> str:
    """Whose session it is, in a word or two."""
    if session.owner is not None:
        return name_of(session.owner)
    if session.api_key is not None:
        return session.api_key.name
    return _("this machine")


def name_of(user: User) -> str:
    return user.get_full_name() or user.get_username()
