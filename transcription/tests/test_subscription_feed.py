"""What one subscriber is told, and in which order."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from transcription.subscriptions.feed import SNAPSHOT_SEGMENTS, Feed
from transcription.subscriptions.messages import (
    InterimChanged,
    ProgressChanged,
    SegmentsRevised,
    SegmentStored,
    SessionEnded,
    Snapshot,
    StatusChanged,
)
from transcription.subscriptions.options import SubscriptionOptions
from transcription.subscriptions.picture import MAX_KEPT_SEGMENTS, Picture, StoredSegment, joined
from transcription.tests.watched_site import database_row, facts, segment


def picture(*segments: StoredSegment, state: str = "live", **row: Any) -> Picture:
    """A session with these segments; with a row where any of its values is given."""
    told = database_row("my-id", "", "live", **{"segments": len(segments), **row}) if row else None
    return Picture(facts(state), segments, told)


def feed_of(first: Picture, **options: Any) -> tuple[Feed, Snapshot]:
    feed = Feed(SubscriptionOptions(**options))
    return feed, feed.first(first)


def rest(feed: Feed, seen: Picture) -> list[BaseModel]:
    """Everything that there is to say of a picture."""
    told: list[BaseModel] = []
    while (message := feed.next(seen)) is not None:
        told.append(message)
    return told


def test_the_snapshot_has_the_facts_and_the_segments_so_far() -> None:
    feed, snapshot = feed_of(picture(segment(0, "zero"), segment(1, "one")))

    assert (snapshot.seq, snapshot.protocol, snapshot.state, snapshot.activity) == (0, "speech.v1", "live", None)
    assert (snapshot.from_segment, snapshot.segment_count) == (0, 2)
    assert [each.text for each in snapshot.segments] == ["zero", "one"]
    assert rest(feed, picture(segment(0, "zero"), segment(1, "one"))) == []


def test_what_is_being_said_is_in_the_snapshot() -> None:
    _, snapshot = feed_of(picture(segment(0), interim="hel", interim_segment=1, state="live"))
    assert snapshot.interim is not None
    assert (snapshot.interim.segment, snapshot.interim.text) == (1, "hel")
    assert snapshot.activity == "live"


def test_every_message_has_the_next_number() -> None:
    feed, snapshot = feed_of(picture())
    news = picture(segment(0), segment(1), interim="hello", interim_segment=2, audio_ms=7)
    told = [snapshot, *rest(feed, news), *rest(feed, picture(segment(0), segment(1), state="completed"))]

    assert [message.seq for message in told] == list(range(len(told)))  # type: ignore[attr-defined]
    assert [type(message) for message in told] == [
        Snapshot,
        SegmentStored,
        SegmentStored,
        StatusChanged,
        InterimChanged,
        SessionEnded,
    ]


def test_only_what_follows_is_sent_to_who_has_the_rest() -> None:
    _, snapshot = feed_of(picture(*(segment(index) for index in range(5))), after=2)
    assert (snapshot.from_segment, [each.segment for each in snapshot.segments]) == (3, [3, 4])


def test_who_holds_more_than_there_is_learns_where_it_ends() -> None:
    _, snapshot = feed_of(picture(segment(0)), after=7)
    assert (snapshot.from_segment, snapshot.segments) == (1, [])


def test_a_long_session_begins_with_its_last_segments() -> None:
    kept = tuple(segment(index) for index in range(400, 400 + MAX_KEPT_SEGMENTS))
    feed, snapshot = feed_of(picture(*kept))
    assert feed.wanted_page(picture(*kept)) is None
    assert (snapshot.from_segment, len(snapshot.segments)) == (400, SNAPSHOT_SEGMENTS)


def test_a_long_session_is_read_page_by_page_by_who_wants_all_of_it() -> None:
    stored = [segment(index) for index in range(250)]
    now = picture(*stored[-MAX_KEPT_SEGMENTS:])
    feed = Feed(SubscriptionOptions(after=-1))
    pages = []
    told: list[int] = []
    while (indexes := feed.wanted_page(now)) is not None:
        pages.append(indexes)
        feed.take_page(stored[indexes.start : indexes.stop])
        if not told:
            told += [each.segment for each in feed.first(now).segments]
        told += [message.segment for message in rest(feed, now) if isinstance(message, SegmentStored)]

    assert pages == [range(100), range(100, 150)]
    assert told == list(range(250))


def test_nothing_newer_is_told_while_a_page_is_missing() -> None:
    now = picture(*(segment(index) for index in range(150, 250)), state="completed")
    feed = Feed(SubscriptionOptions(after=-1))
    feed.first(now)
    assert rest(feed, now) == []
    assert not feed.has_ended


def test_words_come_only_where_they_are_asked_for() -> None:
    now = picture(segment(0))
    assert feed_of(now)[1].segments[0].words is None
    assert feed_of(now, words=True)[1].segments[0].words == []


def test_a_newer_interim_replaces_those_that_were_not_taken() -> None:
    feed, _ = feed_of(picture(interim="", interim_segment=0))
    [told] = rest(feed, picture(interim="what is natural", interim_segment=0))
    assert isinstance(told, InterimChanged)
    assert (told.segment, told.text) == (0, "what is natural")


def test_an_interim_whose_final_was_told_is_not_told_again() -> None:
    feed, _ = feed_of(picture(interim="hello", interim_segment=0))
    told = rest(feed, picture(segment(0, "hello"), interim="hello", interim_segment=0))
    assert [type(message) for message in told] == [SegmentStored]


@pytest.mark.parametrize(
    "row",
    [
        {"interim": "", "interim_segment": 1, "segments": 0},
        {"interim": "", "interim_segment": 1, "segments": 1},
        {"interim": "and", "interim_segment": 1, "segments": 1},
        {},
    ],
    ids=["being stored", "stored", "stored, and more is being said", "nobody holds the session any more"],
)
def test_an_interim_stays_until_its_final_is_told(row: dict[str, Any]) -> None:
    feed, _ = feed_of(picture(interim="hello", interim_segment=0, segments=0))
    told = rest(feed, picture(**row))
    assert not [message for message in told if isinstance(message, InterimChanged)]
    told = rest(feed, picture(segment(0, "hello"), **row))
    assert isinstance(told[0], SegmentStored)
    assert [message.text for message in told if isinstance(message, InterimChanged)] == (
        ["and"] if row.get("interim") else []
    )


def test_an_interim_that_comes_to_nothing_is_taken_back() -> None:
    feed, _ = feed_of(picture(interim="hm", interim_segment=0))
    [told] = rest(feed, picture(interim="", interim_segment=0))
    assert isinstance(told, InterimChanged)
    assert (told.segment, told.text) == (0, "")


def test_without_interims_none_is_sent() -> None:
    feed, snapshot = feed_of(picture(interim="hello", interim_segment=0), interims=False)
    assert snapshot.interim is None
    assert rest(feed, picture(interim="hello world", interim_segment=0)) == []


def test_progress_is_sent_to_who_asks_for_it() -> None:
    feed, snapshot = feed_of(picture(audio_ms=1000), progress=True)
    assert snapshot.progress is not None
    assert snapshot.progress.audio_ms == 1000
    [told] = rest(feed, picture(audio_ms=1250, level=0.5))
    assert isinstance(told, ProgressChanged)
    assert (told.audio_ms, told.level) == (1250, 0.5)


def test_a_lost_connection_is_told_as_status() -> None:
    feed, _ = feed_of(picture(audio_ms=1))
    [told] = rest(feed, picture(state="detached"))
    assert isinstance(told, StatusChanged)
    assert (told.state, told.activity) == ("detached", None)


def test_words_that_were_cut_off_are_withdrawn_when_they_come_again() -> None:
    feed, _ = feed_of(picture(segment(0)))
    rest(feed, picture(segment(0), segment(1, "and the", tail=True), state="detached"))
    told = rest(feed, picture(segment(0), segment(1, "and the rest", epoch=2), state="live"))

    assert [type(message) for message in told] == [SegmentsRevised, SegmentStored, StatusChanged]
    assert isinstance(told[0], SegmentsRevised)
    assert told[0].from_segment == 1
    assert isinstance(told[1], SegmentStored)
    assert (told[1].text, told[1].tail) == ("and the rest", False)


def test_words_that_were_cut_off_are_withdrawn_as_soon_as_the_client_is_back() -> None:
    feed, _ = feed_of(picture(segment(0), segment(1, tail=True), segment(2, tail=True), state="detached"))
    [told, _status] = rest(feed, picture(segment(0)))
    assert isinstance(told, SegmentsRevised)
    assert told.from_segment == 1


def test_words_that_were_cut_off_and_stand_are_told_as_such() -> None:
    feed, _ = feed_of(picture(segment(0, "and the", tail=True), state="detached"))
    told = rest(feed, picture(segment(0, "and the"), state="detached"))
    assert [(type(message), getattr(message, "tail", None)) for message in told] == [(SegmentStored, False)]


def test_the_end_comes_after_every_segment_and_nothing_after_it() -> None:
    feed, _ = feed_of(picture())
    told = rest(feed, picture(segment(0), segment(1, tail=True), state="interrupted", interim="x", interim_segment=2))

    assert [type(message) for message in told] == [SegmentStored, SegmentStored, SessionEnded]
    assert isinstance(told[-1], SessionEnded)
    assert (told[-1].state, feed.has_ended) == ("interrupted", True)
    assert feed.next(picture(segment(0))) is None


def test_a_session_that_was_deleted_has_ended() -> None:
    feed, _ = feed_of(picture(segment(0)))
    [told] = rest(feed, Picture(None))
    assert isinstance(told, SessionEnded)
    assert (told.state, told.end_reason, told.session) == ("deleted", "deleted", None)


@pytest.mark.parametrize(
    ("kept", "read", "from_index", "found"),
    [
        ([], [0, 1], 0, [0, 1]),
        ([0, 1], [2], 2, [0, 1, 2]),
        ([0, 1, 2], [1], 1, [0, 1]),
        ([0, 1, 2], [], 2, [0, 1]),
        ([0, 1], [150, 151], 2, [150, 151]),
    ],
)
def test_what_was_read_replaces_what_was_kept(
    kept: list[int], read: list[int], from_index: int, found: list[int]
) -> None:
    result = joined([segment(index) for index in kept], [segment(index) for index in read], from_index)
    assert [each.index for each in result] == found


def test_only_the_last_segments_are_kept() -> None:
    kept = joined([segment(index) for index in range(MAX_KEPT_SEGMENTS)], [segment(MAX_KEPT_SEGMENTS)], 100)
    assert (kept[0].index, len(kept)) == (1, MAX_KEPT_SEGMENTS)
