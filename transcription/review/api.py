"""Operations of the HTTP API on the review of a transcript. See docs/review-api.md."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Path, Query, Router, Status

from transcription import access
from transcription.audit.recording import record_watching
from transcription.identity.scopes import Scope
from transcription.models import TranscriptionSession
from transcription.rest.authentication import principal_of
from transcription.rest.errors import BODY_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.schemas import ErrorAnswer
from transcription.review import locks, operations, reading
from transcription.review.answers import (
    ChangeAnswer,
    ConflictAnswer,
    HistoryEntry,
    HistoryPage,
    LockAnswer,
    NewsAnswer,
    ReviewAnswer,
    ReviewSegment,
    facts_of,
)
from transcription.review.authors import Author
from transcription.review.editing import Done
from transcription.review.models import ReviewChange
from transcription.review.passages import ID_PATTERN, PassageId
from transcription.review.requests import (
    MAX_VERSION,
    HistoryQuery,
    LockRequest,
    MergeRequest,
    PartQuery,
    RenameRequest,
    ReplaceRequest,
    SegmentChange,
    SplitRequest,
    VersionRequest,
)
from transcription.review.transcript import read_transcript, readings_of

router = Router(tags=["review"])
REVIEW = "/sessions/{session_id}/review"
CHANGE_ERRORS = {ONE_OBJECT_ERRORS | BODY_ERRORS: ErrorAnswer, 409: ConflictAnswer}

SegmentId = Annotated[str, Path(pattern=ID_PATTERN)]
Number = Annotated[int, Path(ge=1, le=MAX_VERSION)]


def readable(request: HttpRequest, session_id: str) -> TranscriptionSession:
    """The session, whose text these credentials may read."""
    principal = principal_of(request, Scope.SESSIONS_READ)
    session = access.get_session(session_id, principal, access.visible_sessions(principal))
    record_watching(session)
    return session


def reviewable(request: HttpRequest, session_id: str) -> tuple[TranscriptionSession, Author]:
    """The session, whose transcript these credentials may change, and whose work it is."""
    principal = principal_of(request, Scope.SESSIONS_WRITE)
    session = access.get_session(session_id, principal, access.reviewable_sessions(principal))
    return session, Author.of(principal)


@router.get(
    REVIEW,
    operation_id="read_review",
    summary="A transcript with the words and versions of its segments, part by part",
    response={200: ReviewAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_review(request: HttpRequest, session_id: str, filters: Query[PartQuery]) -> ReviewAnswer:
    session = readable(request, session_id)
    # Before the segments: what changes meanwhile is then news, and not missed.
    facts = _facts(request, session)
    readings = list(read_transcript(session, first=filters.first, limit=filters.limit))
    following = filters.first + filters.limit
    has_more = session.segments.filter(index__gte=following).exists()
    return ReviewAnswer(
        **facts,
        segments=[ReviewSegment.of(reading) for reading in readings],
        next=following if has_more else None,
        locks=_locks(request, session),
    )


@router.get(
    f"{REVIEW}/news",
    operation_id="read_review_news",
    summary="What changed after a version, and who edits what",
    response={200: NewsAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_review_news(
    request: HttpRequest, session_id: str, since: Annotated[int, Query(ge=0, le=MAX_VERSION)]
) -> NewsAnswer:
    session = readable(request, session_id)
    facts = _facts(request, session)
    news = reading.read_news(session, since)
    segments, removed = news or ([], [])
    return NewsAnswer(
        **facts,
        is_all=news is not None,
        segments=[ReviewSegment.of(found) for found in segments],
        removed=list(map(str, removed)),
        locks=_locks(request, session),
    )


@router.patch(
    f"{REVIEW}/segments/{{segment_id}}",
    operation_id="change_segment",
    summary="Give a segment another text or speaker, or mark it",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def change_segment(request: HttpRequest, session_id: str, segment_id: SegmentId, change: SegmentChange) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    done = operations.edit(session, author, _id(segment_id), **change.model_dump())
    return _answer(session, done)


@router.post(
    f"{REVIEW}/segments/{{segment_id}}/split",
    operation_id="split_segment",
    summary="Make two segments of one",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def split_segment(request: HttpRequest, session_id: str, segment_id: SegmentId, wanted: SplitRequest) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.split(session, author, _id(segment_id), **wanted.model_dump()))


@router.post(
    f"{REVIEW}/segments/{{segment_id}}/merge",
    operation_id="merge_segment",
    summary="Join a segment to the one before it",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def merge_segment(request: HttpRequest, session_id: str, segment_id: SegmentId, wanted: MergeRequest) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.merge(session, author, _id(segment_id), **wanted.model_dump()))


@router.post(
    f"{REVIEW}/speakers",
    operation_id="rename_speaker",
    summary="Give a speaker another name in the whole session",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def rename_speaker(request: HttpRequest, session_id: str, wanted: RenameRequest) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.rename_speaker(session, author, **wanted.model_dump()))


@router.post(
    f"{REVIEW}/replace",
    operation_id="replace_text",
    summary="Replace a text everywhere, as one entry of the history",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def replace_text(request: HttpRequest, session_id: str, wanted: ReplaceRequest) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    done, _count = operations.replace_text(
        session, author, wanted.version, wanted.find, wanted.replace, match_case=wanted.match_case
    )
    return _answer(session, done)


@router.post(
    f"{REVIEW}/mark-reviewed",
    operation_id="mark_reviewed",
    summary="Close the transcript to changes",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def mark_reviewed(request: HttpRequest, session_id: str, wanted: VersionRequest) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.mark_reviewed(session, author, wanted.version))


@router.post(
    f"{REVIEW}/reopen",
    operation_id="reopen_review",
    summary="Open the transcript to changes again",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def reopen_review(request: HttpRequest, session_id: str) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.reopen(session, author))


@router.get(
    f"{REVIEW}/history",
    operation_id="list_history",
    summary="Who changed what, newest first",
    response={200: HistoryPage, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def list_history(request: HttpRequest, session_id: str, filters: Query[HistoryQuery]) -> HistoryPage:
    session = readable(request, session_id)
    review = reading.find_review(session)
    found = ReviewChange.objects.filter(session_id=session.pk).order_by("-number")
    if filters.before is not None:
        found = found.filter(number__lt=filters.before)
    page = list(found[: filters.limit + 1])
    shown = page[: filters.limit]
    return HistoryPage(
        version=review.version if review is not None else 0,
        entries=[reading.describe(change) for change in shown],
        next=shown[-1].number if len(page) > len(shown) else None,
    )


@router.get(
    f"{REVIEW}/history/{{number}}",
    operation_id="read_history_entry",
    summary="One change, with every segment that it touched",
    response={200: HistoryEntry, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_history_entry(request: HttpRequest, session_id: str, number: Number) -> HistoryEntry:
    session = readable(request, session_id)
    return reading.describe(reading.find_change(session, number), limit=None)


@router.post(
    f"{REVIEW}/history/{{number}}/undo",
    operation_id="undo_change",
    summary="Take back one change whose segments nobody has changed since",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def undo_change(request: HttpRequest, session_id: str, number: Number) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.undo(session, author, number))


@router.post(
    f"{REVIEW}/history/{{number}}/restore",
    operation_id="restore_transcript",
    summary="Bring the transcript back to what it was after an entry of the history; 0: as it was recognised",
    response={200: ChangeAnswer, **CHANGE_ERRORS},
)
def restore_transcript(
    request: HttpRequest,
    session_id: str,
    number: Annotated[int, Path(ge=0, le=MAX_VERSION)],
    wanted: VersionRequest,
) -> ChangeAnswer:
    session, author = reviewable(request, session_id)
    return _answer(session, operations.restore(session, author, wanted.version, number))


@router.put(
    f"{REVIEW}/locks/{{segment_id}}",
    operation_id="hold_segment",
    summary="Tell others that you edit a segment, for 30 s at a time",
    response={200: LockAnswer, **CHANGE_ERRORS},
)
def hold_segment(
    request: HttpRequest, session_id: str, segment_id: SegmentId, wanted: LockRequest | None = None
) -> LockAnswer:
    session, author = reviewable(request, session_id)
    lock = operations.hold(session, author, _id(segment_id), take=wanted is not None and wanted.take)
    return LockAnswer.of(lock, author.holder)


@router.delete(
    f"{REVIEW}/locks/{{segment_id}}",
    operation_id="release_segment",
    summary="Tell others that you are done with a segment",
    response={204: None, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def release_segment(request: HttpRequest, session_id: str, segment_id: SegmentId) -> Status[None]:
    session, author = reviewable(request, session_id)
    locks.release(session, _id(segment_id), author)
    return Status(204, None)


def _id(text: str) -> PassageId:
    """text: matches ID_PATTERN."""
    id = PassageId.parse(text)
    assert id is not None  # noqa: S101 - the framework has checked the pattern
    return id


def _facts(request: HttpRequest, session: TranscriptionSession) -> dict[str, Any]:
    review = reading.find_review(session)
    why = reading.why_read_only(principal_of(request), session, review)
    return facts_of(session.public_id, review, why)


def _locks(request: HttpRequest, session: TranscriptionSession) -> list[LockAnswer]:
    holder = Author.of(principal_of(request)).holder
    return [LockAnswer.of(lock, holder) for lock in locks.current(session)]


def _answer(session: TranscriptionSession, done: Done) -> ChangeAnswer:
    if len(done.segments) + len(done.removed) > reading.MAX_NEWS_SEGMENTS:
        return ChangeAnswer(version=done.version, is_all=False, segments=[], removed=[])
    return ChangeAnswer(
        version=done.version,
        is_all=True,
        segments=[ReviewSegment.of(found) for found in readings_of(session, done.segments)],
        removed=list(map(str, done.removed)),
    )
