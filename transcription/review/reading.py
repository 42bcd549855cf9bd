"""What is read of a review: its state, what changed since, its history. Plain functions for threads that may wait."""

from __future__ import annotations

from typing import Literal

from django.db.models import Q
from django.utils.translation import gettext as _

from transcription import access
from transcription.errors import NotFound
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.review.answers import ChangedSegment, HistoryEntry, TextStretch
from transcription.review.changes import Item
from transcription.review.differences import compare_texts
from transcription.review.models import Review, ReviewChange
from transcription.review.passages import PassageId, Reading
from transcription.review.transcript import read_passages, readings_of

# More would be as much as reading the transcript again.
MAX_NEWS_CHANGES = 50
MAX_NEWS_SEGMENTS = 200
# Of one entry, where several are shown.
ITEMS_SHOWN = 5

WhyReadOnly = Literal["not_ended", "reviewed", "not_allowed"]


def find_review(session: TranscriptionSession) -> Review | None:
    return Review.objects.filter(session_id=session.pk).first()


def why_read_only(principal: Principal, session: TranscriptionSession, review: Review | None) -> WhyReadOnly | None:
    """Why these credentials may not change the transcript, None if they may."""
    if not access.may_review(principal, session):
        return "not_allowed"
    if not session.has_ended:
        return "not_ended"
    return "reviewed" if review is not None and review.reviewed_at is not None else None


def read_news(session: TranscriptionSession, since: int) -> tuple[list[Reading], list[PassageId]] | None:
    """Passages that are new or different since a version, and ids that are no more; None where it is too much."""
    changes = ReviewChange.objects.filter(session_id=session.pk, number__gt=since).order_by("number")
    counts = list(changes.values_list("item_count", flat=True)[: MAX_NEWS_CHANGES + 1])
    if len(counts) > MAX_NEWS_CHANGES or sum(counts) > MAX_NEWS_SEGMENTS:
        return None
    ids: set[PassageId] = set()
    for items in changes.values_list("items", flat=True):
        ids.update(id for item in items if (id := PassageId.parse(item["id"])) is not None)
    if not ids:
        return [], []
    found = read_passages(session, Q(index__in={id.index for id in ids}))
    wanted = [passage for passage in found if passage.id in ids]
    return readings_of(session, wanted), sorted(ids - {passage.id for passage in wanted})


def find_change(session: TranscriptionSession, number: int) -> ReviewChange:
    """The entry of the history with that number. Raises NotFound."""
    change = ReviewChange.objects.filter(session_id=session.pk, number=number).first()
    if change is None:
        raise NotFound(_("There is no such entry in the history."))
    return change


def describe(change: ReviewChange, limit: int | None = ITEMS_SHOWN) -> HistoryEntry:
    """An entry of the history. limit: of the segments that are told."""
    return HistoryEntry(
        number=change.number,
        kind=change.kind,
        label=str(change.get_kind_display()),
        by=change.by,
        at=change.at,
        target=change.target,
        details=change.details,
        segment_count=change.item_count,
        segments=[_describe_item(item) for item in change.items[:limit]],
    )


_SHOWN = ("start_ms", "end_ms", "text", "speaker", "reviewed")


def _describe_item(item: Item) -> ChangedSegment:
    was, new = item["was"], item["is"]
    old_text, new_text = (was or {}).get("text", ""), (new or {}).get("text", "")
    stretches = compare_texts(old_text, new_text) if old_text != new_text else []
    return ChangedSegment(
        segment_id=item["id"],
        old=None if was is None else {name: was[name] for name in _SHOWN if name in was},
        new=None if new is None else {name: new[name] for name in _SHOWN if name in new},
        diff=[TextStretch(kind=stretch.kind, text=stretch.text) for stretch in stretches],
    )
