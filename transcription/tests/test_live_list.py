"""The list of live sessions from the database, the last hour minute by minute, and the figures."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from transcription.console.last_hour import Lived, by_minute, read_last_hour
from transcription.console.live_database import read_failed_rows, read_live_rows
from transcription.console.live_list import LiveFilter, read_list
from transcription.console.numbers import percentile, read_numbers
from transcription.models import ApiKey, TranscriptionSession
from transcription.tests.rows import make_session, make_user
from transcription.tests.watched_site import database_row, numbers

State = TranscriptionSession.State
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def row(**fields: Any) -> dict[str, Any]:
    values = {"title": "Board", "owner": "anna", "owner_id": 7, "language": "en-US", "dialect": "native"}
    return database_row("id", "good morning", **{**values, "source": "user", "key": "", **fields})


@pytest.mark.parametrize(
    ("query", "is_taken"),
    [
        ({}, True),
        ({"q": "MORNING board"}, True),
        ({"q": "evening"}, False),
        ({"state": "live"}, True),
        ({"state": "reconnecting"}, False),
        ({"state": "nonsense"}, True),
        ({"language": "de-DE"}, False),
        ({"source": "web"}, True),
        ({"source": "key:phone"}, False),
        ({"source": "dialect:native"}, True),
        ({"source": "dialect:realtime"}, False),
        ({"mine": "1"}, True),
    ],
)
def test_the_query_chooses_rows(query: dict[str, str], is_taken: bool) -> None:
    assert LiveFilter.of(query, user_id=7).takes(row()) is is_taken


def test_only_mine_is_of_the_person_alone() -> None:
    assert not LiveFilter.of({"mine": "1"}, user_id=8).takes(row())
    assert not LiveFilter.of({"mine": "1"}, user_id=None).takes(row(owner_id=None))


def test_a_key_is_a_source_by_its_name() -> None:
    assert LiveFilter.of({"source": "key:phone"}, user_id=7).takes(row(source="key", key="phone"))
    assert not LiveFilter.of({"source": "web"}, user_id=7).takes(row(source="key", key="phone"))


@pytest.mark.django_db
@pytest.mark.databases
def test_the_list_has_what_is_live_waiting_or_has_just_failed() -> None:
    now = timezone.now()
    key = ApiKey.objects.create(name="phone", digest="0" * 64, prefix="sp_")
    make_session("words", state=State.LIVE, started_at=now, api_key=key)
    make_session(state=State.DETACHED, started_at=now - timedelta(seconds=2))
    make_session(state=State.FAILED, created_at=now, ended_at=now, end_reason="recogniser_failed", title="broken")
    make_session(state=State.FAILED, created_at=now, ended_at=now - timedelta(minutes=2))
    make_session(state=State.INTERRUPTED, created_at=now, ended_at=now, end_reason="client_lost")
    found = read_list(LiveFilter(), captions=False)
    assert sorted(row["state"] for row in found.rows) == ["failed", "live", "reconnecting"]
    assert all(row["final"] is None for row in found.rows)
    assert {row["key"] for row in read_live_rows().values()} == {"phone", ""}
    [failed] = read_failed_rows().values()
    assert (failed["title"], failed["error"]) == ("broken", "The recogniser failed.")


@pytest.mark.django_db
def test_the_plain_list_stops_without_scripts_and_hides_what_may_not_be_read() -> None:
    session = make_session("secret words", state=State.LIVE, started_at=timezone.now(), title="Board")
    user = make_user("view_live", "stop_transcriptionsession")
    client = Client()
    client.force_login(user)
    text = client.get(reverse("live_table")).content.decode()
    assert "Board" in text
    assert "secret" not in text
    assert reverse("session_stop", kwargs={"public_id": session.public_id}) in text
    assert "No live session matches." in client.get(reverse("live_table"), {"q": "zebra"}).content.decode()


# Minute by minute


def test_a_session_counts_in_every_minute_that_it_was_live() -> None:
    begun, ended = NOON - timedelta(minutes=5, seconds=30), NOON - timedelta(minutes=2, seconds=30)
    minutes = by_minute([Lived(begun, ended, is_error=True, first_interim_ms=400, final_lag_ms=900)], NOON)
    assert (len(minutes), minutes[-1].at) == (60, NOON)
    assert [minute.live for minute in minutes[-7:]] == [0, 1, 1, 1, 0, 0, 0]
    assert [minute.errors for minute in minutes[-7:]] == [0, 0, 0, 0, 1, 0, 0]
    assert [minute.first_interim_ms for minute in minutes if minute.first_interim_ms] == [400]
    assert minutes[-3].final_lag_ms == 900


def test_what_was_live_before_the_hour_and_still_is_counts_in_all_of_it() -> None:
    minutes = by_minute(
        [Lived(NOON - timedelta(hours=3), None), Lived(NOON - timedelta(hours=3), NOON - timedelta(hours=2))], NOON
    )
    assert {minute.live for minute in minutes} == {1}


@pytest.mark.django_db
@pytest.mark.databases
def test_the_last_hour_is_read_from_the_sessions() -> None:
    now = timezone.now()
    make_session(state=State.LIVE, created_at=now - timedelta(minutes=10), started_at=now - timedelta(minutes=10))
    make_session(state=State.FAILED, created_at=now - timedelta(minutes=3), ended_at=now - timedelta(seconds=90))
    minutes = read_last_hour(now)
    assert (minutes[-1].live, sum(minute.errors for minute in minutes)) == (1, 1)


# Figures


def test_percentiles_are_values_that_occurred() -> None:
    assert percentile([], 0.5) is None
    assert [percentile([4, 1, 3, 2], share) for share in (0.0, 0.5, 0.95, 1.0)] == [1, 3, 4, 4]


def test_live_sessions_count_in_the_figures_once() -> None:
    known = numbers(audio_today_ms=1000, first_interims_ms=(300,))
    live = row(audio_ms=500, first_interim_ms=700, final_lag_ms=None)
    waiting = row(audio_ms=300, state="detached", first_interim_ms=None, final_lag_ms=90)
    figures = known.figures([live, waiting], ended_audio_ms=20)
    assert figures["audio_today_ms"] == 1520
    assert (figures["first_interim_p50_ms"], figures["first_interim_p95_ms"], figures["final_lag_p95_ms"]) == (
        700,
        700,
        90,
    )


@pytest.mark.django_db
@pytest.mark.databases
def test_delays_are_those_of_the_last_hour() -> None:
    now = timezone.now()
    make_session(created_at=now, ended_at=now, first_interim_ms=400, final_lag_p95_ms=800)
    make_session(created_at=now, ended_at=now - timedelta(hours=2), first_interim_ms=9000)
    found = read_numbers(now)
    assert (list(found.first_interims_ms), list(found.final_lags_ms)) == ([400], [800])
