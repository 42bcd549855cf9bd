"""Operations of the HTTP API on what can be found and counted in a transcript."""

from __future__ import annotations

from itertools import islice

from django.http import HttpRequest
from ninja import Query, Router

from transcription.rest.errors import ONE_OBJECT_ERRORS
from transcription.rest.schemas import ErrorAnswer
from transcription.review import figures, reading, replacing
from transcription.review.answers import (
    DoubtfulAnswer,
    DoubtfulWordAnswer,
    FiguresAnswer,
    FoundAnswer,
    FoundPlace,
    SpeakerAnswer,
)
from transcription.review.api import REVIEW, readable
from transcription.review.requests import BelowQuery, DoubtfulQuery, FindQuery
from transcription.review.transcript import read_texts, read_transcript

router = Router(tags=["review"])
MAX_FOUND = 1000


@router.get(
    f"{REVIEW}/find",
    operation_id="find_text",
    summary="Where a text stands in a transcript",
    response={200: FoundAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def find_text(request: HttpRequest, session_id: str, filters: Query[FindQuery]) -> FoundAnswer:
    session = readable(request, session_id)
    review = reading.find_review(session)
    count = 0
    found: list[FoundPlace] = []
    for passage in read_texts(session):
        places = replacing.find_places(passage.text, filters.find, match_case=filters.match_case)
        count += len(places)
        if places and len(found) < MAX_FOUND:
            found.append(FoundPlace(segment_id=str(passage.id), version=passage.version, places=places))
    return FoundAnswer(version=review.version if review is not None else 0, count=count, segments=found)


@router.get(
    f"{REVIEW}/doubtful",
    operation_id="list_doubtful_words",
    summary="Words that the machine was not sure of, and nobody has changed",
    response={200: DoubtfulAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def list_doubtful_words(request: HttpRequest, session_id: str, filters: Query[DoubtfulQuery]) -> DoubtfulAnswer:
    session = readable(request, session_id)
    doubtful = iter(figures.doubtful_words(read_transcript(session), filters.below))
    words = [
        DoubtfulWordAnswer(
            segment_id=word.segment,
            number=word.number,
            word=word.text,
            start_ms=word.start_ms,
            end_ms=word.end_ms,
            confidence=word.confidence,
        )
        for word in islice(doubtful, filters.limit)
    ]
    return DoubtfulAnswer(count=len(words) + sum(1 for _word in doubtful), words=words)


@router.get(
    f"{REVIEW}/figures",
    operation_id="read_review_figures",
    summary="How good a transcript is, and who spoke how long",
    response={200: FiguresAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_review_figures(request: HttpRequest, session_id: str, filters: Query[BelowQuery]) -> FiguresAnswer:
    session = readable(request, session_id)
    review = reading.find_review(session)
    found = figures.measure(read_transcript(session), filters.below)
    return FiguresAnswer(
        segments=found.segments,
        edited_segments=found.edited_segments,
        changes=review.version if review is not None else 0,
        words=found.words,
        talk_ms=found.talk_ms,
        mean_confidence=found.mean_confidence,
        words_per_minute=found.words_per_minute,
        doubtful_words=found.doubtful_words,
        word_errors=found.word_errors,
        word_error_rate=found.word_error_rate,
        speakers=[
            SpeakerAnswer(name=speaker.name or None, segments=speaker.segments, talk_ms=speaker.talk_ms)
            for speaker in found.speakers
        ],
    )
