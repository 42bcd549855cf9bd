"""Filters of the list of past sessions beyond state, language, day and length."""

from __future__ import annotations

import html
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from transcription.console.numbers import read_numbers
from transcription.models import ApiKey, TranscriptionSession
from transcription.past.filters import SOURCES, SessionFilterForm
from transcription.past.models import ReviewAssignment
from transcription.past.rows import make_rows
from transcription.recording.models import SessionRecording
from transcription.review.models import Review
from transcription.search.session_list import hits_by_session, read_page
from transcription.tests.rows import make_session, make_user, principal_of

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

State = TranscriptionSession.State


def titles_of(**query: str) -> set[str]:
    reader = make_user("view_captions")
    listing = SessionFilterForm(query).filter(principal_of(reader), reader.pk)
    return {session.title for session in read_page(listing).sessions}


def test_it_filters_by_the_errors_of_a_session() -> None:
    make_session(title="well")
    make_session(title="failed", state=State.FAILED)
    make_session(title="interrupted", state=State.INTERRUPTED)
    make_session(title="with a gap", gaps=[[0, 32_000]])
    assert titles_of(errors_only="on") == {"failed", "interrupted", "with a gap"}


def lossy_day() -> None:
    """Sessions of today, of which some lost audio."""
    make_session("one", "two", title="well")
    make_session("one", "two", title="with a gap", gaps=[[0, 32_000]])
    for title, flushed in (("cut off", 0), ("answered", 128_000)):
        interrupted = make_session("one", "two", title=title, state=State.INTERRUPTED, flushed_bytes=flushed)
        TranscriptionSession.objects.filter(pk=interrupted.pk).update(committed_bytes=64_000)


def test_it_filters_by_audio_that_was_lost() -> None:
    lossy_day()
    assert titles_of(lost="on") == titles_of(lost="on", errors_only="on") == {"with a gap", "cut off"}


def test_it_filters_by_what_ended_in_the_last_hour() -> None:
    now = timezone.now()
    for title, begun_h, ended_h in (("just now", 0.5, 0.1), ("a long one", 20, 0.1), ("earlier", 3, 2)):
        begun, ended = (now - timedelta(hours=hours) for hours in (begun_h, ended_h))
        make_session(title=title, created_at=begun, ended_at=ended)
    make_session(title="not yet", state=State.LIVE)
    assert titles_of(period="hour") == {"just now", "a long one"}


def test_each_card_of_the_live_page_leads_to_what_it_counts() -> None:
    lossy_day()
    now = timezone.now()
    for title, hours in (("just failed", 0.1), ("failed before", 3)):
        ended = now - timedelta(hours=hours)
        make_session("one", title=title, state=State.FAILED, created_at=ended, ended_at=ended)
    client = Client()
    client.force_login(make_user("view_live", "view_transcriptionsession", "view_captions"))
    page = client.get(reverse("live")).content.decode()
    links = dict(re.findall(r'data-kpi-card="(\w+)"><a href="([^"]+)"', page))
    assert set(links) == {"live", "audio_today", "first_interim", "final_lag", "errors", "audio_lost"}
    shown = {}
    for card, link in links.items():
        answer = client.get(html.unescape(link))
        assert answer.status_code == 200, card
        shown[card] = {row.session.title for row in answer.context["rows"]} if "rows" in answer.context else set()
    assert read_numbers().audio_lost_today_ms == 3000
    assert shown["audio_lost"] == {"with a gap", "cut off"}
    assert shown["errors"] == {"just failed"}
    assert shown["audio_today"] >= {"well", "with a gap", "cut off", "answered"}


def test_it_filters_by_the_audio_that_is_kept() -> None:
    for title, state in (("whole", "complete"), ("part", "partial"), ("gone", "deleted"), ("broken", "failed")):
        SessionRecording.objects.create(session=make_session(title=title), state=state)
    make_session(title="never")
    assert titles_of(audio="yes") == {"whole", "part"}
    assert titles_of(audio="no") == {"gone", "broken", "never"}


def test_it_filters_by_the_review() -> None:
    Review.objects.create(session=make_session(title="reviewed"), version=3, reviewed_at=timezone.now())
    Review.objects.create(session=make_session(title="edited"), version=2)
    Review.objects.create(session=make_session(title="opened"), version=0)
    make_session(title="untouched")
    assert titles_of(review="reviewed") == {"reviewed"}
    assert titles_of(review="started") == {"edited"}
    assert titles_of(review="open") == {"edited", "opened", "untouched"}


def test_it_filters_by_who_is_to_review() -> None:
    zoe = make_user("view_captions")
    ReviewAssignment.objects.create(session=make_session(title="hers"), reviewer=zoe)
    ReviewAssignment.objects.create(session=make_session(title="another's"), reviewer=make_user())
    make_session(title="nobody's")
    mine = SessionFilterForm({"assigned": "me"}).filter(principal_of(zoe), zoe.pk)
    assert [session.title for session in read_page(mine).sessions] == ["hers"]
    assert titles_of(assigned="none") == {"nobody's"}


def test_it_filters_by_source_key_and_metadata() -> None:
    key = ApiKey.objects.create(name="Desk 3", prefix="desk3", digest="")
    make_session(title="by key", api_key=key, dialect="realtime", metadata={"customer": "c:17", "x": "1"})
    make_session(title="other", metadata={"customer": "c:18"})
    assert titles_of(source="realtime") == {"by key"}
    assert titles_of(key="desk 3") == {"by key"}
    assert titles_of(key="no such") == set()
    assert titles_of(pair="customer:c:17") == {"by key"}
    assert titles_of(pair="customer:c") == set()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("pair", "words"),
        ("since", "0001-01-01"),
        ("until", "9999-12-31"),
        ("review", "x"),
        ("source", "x"),
        ("q", "a\0"),
    ],
)
def test_a_wrong_filter_is_told_and_filters_nothing(field: str, value: str) -> None:
    make_session(title="one")
    form = SessionFilterForm({field: value})
    reader = make_user("view_captions")
    assert len(read_page(form.filter(principal_of(reader), reader.pk)).sessions) == 1
    assert field in form.errors


def test_days_in_the_wrong_order_are_told() -> None:
    form = SessionFilterForm({"since": "2026-02-01", "until": "2026-01-01"})
    assert "until" in form.errors
    assert form.has_more_open


def test_every_source_of_sessions_can_be_chosen() -> None:
    from transcription.admin.filters import DIALECTS

    assert {name for name, _label in SOURCES} == set(DIALECTS)


def test_a_row_tells_confidence_review_reviewer_and_errors() -> None:
    zoe = make_user("view_captions", first_name="Zoe", last_name="Lang")
    failed = {"state": State.FAILED, "end_reason": "recogniser_failed", "gaps": [[0, 64_000]]}
    session = make_session("one", "two", "three", **failed)
    for index, confidence in ((0, 0.9), (1, 0.7), (2, 0.0)):
        session.segments.filter(index=index).update(confidence=confidence)
    Review.objects.create(session=session, version=1)
    ReviewAssignment.objects.create(session=session, reviewer=zoe)
    (row,) = make_rows(principal_of(zoe), [session], {})
    assert row.percent == 80
    assert (row.review, row.reviewer) == ("started", "Zoe Lang")
    assert row.errors == ["The recogniser failed.", "2.0 s of audio lost"]


def test_a_session_that_goes_on_is_as_long_as_what_is_settled() -> None:
    session = make_session(state=State.LIVE, committed_bytes=32 * 7000, audio_ms=0)
    (row,) = make_rows(principal_of(make_user("view_live")), [session], {})
    assert row.audio_ms == 7000


def test_confidence_is_not_told_to_who_may_not_read_the_text() -> None:
    session = make_session("one")
    session.segments.update(confidence=0.9)
    watcher = make_user("view_live")
    (row,) = make_rows(principal_of(watcher), [session], {})
    assert row.percent is None


def test_a_hit_has_the_time_of_its_word() -> None:
    session = make_session("the quick brown fox", created_at=timezone.now() - timedelta(days=1))
    words = [
        {"word": word, "start_ms": at * 500, "end_ms": at * 500 + 400}
        for at, word in enumerate(("the", "quick", "brown", "fox"))
    ]
    session.segments.update(words=words)
    reader = make_user("view_captions")
    (hit,) = hits_by_session(principal_of(reader), "brow", [session])[session.pk]
    assert hit.time_ms == 1000
