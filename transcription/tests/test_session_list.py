"""Filters and pages of the list of past sessions, and the console's numbers."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from transcription.console.numbers import console_numbers
from transcription.models import TranscriptionSession
from transcription.past.filters import SessionFilterForm
from transcription.search.session_list import (
    MAX_COUNT,
    PAGE_SIZE,
    Listing,
    capped_count,
    hits_by_session,
    parse_place,
    read_page,
)
from transcription.templatetags.transcription_pages import duration, grouped, length_in_words, moment, seconds
from transcription.tests.rows import make_session, make_user, principal_of

pytestmark = pytest.mark.django_db

State = TranscriptionSession.State


def listed(listing: Listing) -> list[TranscriptionSession]:
    return read_page(listing).sessions


def titles_of(**query: str) -> set[str]:
    reader = make_user("view_captions")
    return {session.title for session in listed(SessionFilterForm(query).filter(principal_of(reader), reader.pk))}


def test_it_filters_by_state_language_and_length() -> None:
    make_session("one", title="English", audio_ms=5000)
    make_session("two", title="German", language="de-DE", audio_ms=90_000)
    make_session(title="Failed", state=State.FAILED, audio_ms=0)
    assert titles_of() == {"English", "German", "Failed"}
    assert titles_of(state="failed") == {"Failed"}
    assert titles_of(language="DE") == {"German"}
    assert titles_of(length="60") == {"German"}
    assert titles_of(state="completed", language="en-US") == {"English"}


def test_it_filters_by_the_day_of_the_sites_time_zone() -> None:
    noon = timezone.localtime().replace(hour=12, minute=0, second=0, microsecond=0)
    for days in (0, 3, 20, 90):
        make_session(title=f"{days} days ago", created_at=noon - timedelta(days=days))
    assert titles_of(period="today") == {"0 days ago"}
    assert titles_of(period="7") == {"0 days ago", "3 days ago"}
    day = (noon - timedelta(days=20)).date().isoformat()
    assert titles_of(since=day, until=day) == {"20 days ago"}
    assert titles_of(until=day) == {"20 days ago", "90 days ago"}


def test_it_filters_by_text_and_by_owner() -> None:
    reader = make_user("view_captions")
    make_session("the old brewery", title="Mine", owner=reader)
    make_session("the new brewery", title="Theirs", owner=make_user())
    make_session("something else", title="Other", owner=reader)
    who = principal_of(reader)
    found = SessionFilterForm({"q": "brewery"}).filter(who, reader.pk)
    assert {session.title for session in listed(found)} == {"Mine", "Theirs"}
    mine = SessionFilterForm({"q": "brewery", "mine": "on"}).filter(who, reader.pk)
    assert [session.title for session in listed(mine)] == ["Mine"]


def test_wrong_fields_filter_nothing() -> None:
    make_session(title="Kept")
    assert titles_of(state="nonsense", since="yesterday", length="x") == {"Kept"}


def test_pages_go_back_and_forth_without_losing_or_repeating_a_row() -> None:
    moment = timezone.now()
    # Two of each moment: the key must break the tie.
    made = [make_session(created_at=moment - timedelta(minutes=i // 2)) for i in range(2 * PAGE_SIZE + 7)]
    expected = [s.pk for s in sorted(made, key=lambda s: (s.created_at, s.pk), reverse=True)]
    rows = Listing(TranscriptionSession.objects.all())
    first = read_page(rows)
    second = read_page(rows, before=first.older)
    third = read_page(rows, before=second.older)
    shown = [s.pk for page in (first, second, third) for s in page.sessions]
    assert shown == expected
    assert (first.newer, third.older) == ("", "")
    assert read_page(rows, after=third.newer).sessions == second.sessions
    assert read_page(rows, after=second.newer).sessions == first.sessions


@pytest.mark.parametrize(
    "place", ["", "x", "_", "2026-01-01T00:00:00_5", "2026-01-01T00:00:00+00:00_-1", "_99999999999999999999"]
)
def test_a_place_that_is_none_shows_the_newest(place: str) -> None:
    assert parse_place(place) is None
    session = make_session()
    assert read_page(Listing(TranscriptionSession.objects.all()), before=place).sessions == [session]


def test_counting_stops_at_a_thousand() -> None:
    assert capped_count(Listing(TranscriptionSession.objects.all())) == (0, False)
    TranscriptionSession.objects.bulk_create(
        TranscriptionSession(public_id=f"many-{i}", language="en-US") for i in range(MAX_COUNT + 5)
    )
    assert capped_count(Listing(TranscriptionSession.objects.all())) == (MAX_COUNT, True)


def test_hits_are_given_by_session_and_only_where_the_text_may_be_read() -> None:
    reader = make_user()
    mine = make_session("apples and pears", "more apples", owner=reader)
    theirs = make_session("apples of others", owner=make_user())
    hits = hits_by_session(principal_of(reader), "apples", [mine, theirs])
    assert {pk: [hit.segment.index for hit in found] for pk, found in hits.items()} == {mine.pk: [0, 1]}


def test_numbers_count_today_and_the_last_hour() -> None:
    now = timezone.make_aware(datetime(2026, 3, 5, 12, 0))
    make_session("a", "b", created_at=now - timedelta(hours=2), ended_at=now - timedelta(hours=2))
    make_session(created_at=now - timedelta(minutes=9), ended_at=now - timedelta(minutes=8), state=State.FAILED)
    make_session(created_at=now - timedelta(hours=3), ended_at=now - timedelta(hours=2), state=State.FAILED)
    make_session(created_at=now - timedelta(minutes=9), ended_at=now - timedelta(minutes=8), state=State.INTERRUPTED)
    make_session("yesterday", created_at=now - timedelta(days=1), ended_at=now - timedelta(hours=23))
    make_session(created_at=now, state=State.CREATED)
    assert console_numbers(now) == {
        "sessions_today": 4,
        "audio_today_ms": 4000,
        "audio_lost_today_ms": 0,
        "failed_last_hour": 1,
        "interrupted_last_hour": 1,
        "first_interim_p50_ms": None,
        "first_interim_p95_ms": None,
        "final_lag_p95_ms": None,
    }


def test_the_audio_that_was_lost_today_is_counted_by_the_byte() -> None:
    now = timezone.make_aware(datetime(2026, 3, 5, 12, 0))
    second = 32_000
    make_session("a", "b", created_at=now, gaps=[[second, 2 * second]])
    broken = {"state": State.INTERRUPTED, "audio_bytes": 9 * second, "flushed_bytes": 8 * second}
    make_session("a", created_at=now, gaps=[[0, second // 2]], **broken)
    make_session("a", created_at=now, state=State.LIVE, audio_bytes=9 * second)
    make_session("a", created_at=now - timedelta(days=1), gaps=[[0, second]])
    assert console_numbers(now)["audio_lost_today_ms"] == 1000 + 500 + 1000


def test_numbers_and_times_are_written_for_people() -> None:
    assert [duration(ms) for ms in (None, 252_000, 3_600_000)] == ["00:00", "04:12", "1:00:00"]
    assert [seconds(ms) for ms in (None, 340)] == ["\u2013", "0.34 s"]
    assert moment(67_940) == "01:07.9"
    assert [length_in_words(ms) for ms in (0, 30, 2400, 61_000)] == ["0.0 s", "less than 0.1 s", "2.4 s", "01:01"]
    assert grouped(12_345) == "12\u202f345"
