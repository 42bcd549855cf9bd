"""The log of a session: what is noted, how it gets into the database, and how it reads."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from transcription import services
from transcription.errors import RecogniserFailed
from transcription.events import AudioWarning, Event, Expiring, RecogniserStatus
from transcription.models import SessionEvent, TranscriptionSession
from transcription.tests.live_session import SPEECH, LiveSession
from transcription.tests.rows import make_session, make_user
from transcription.tests.virtual_time import in_virtual_time
from transcription.timeline.chronicle import MAX_NOTES, SAME_WARNING_S, Chronicle, Note
from transcription.timeline.rows import MAX_PER_SESSION, note, read_events, write_chronicles
from transcription.timeline.words import WORDS, timeline_of

Kind = SessionEvent.Kind
State = TranscriptionSession.State
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Told:
    """A chronicle whose clock stands until it is moved."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.now_s = 0.0
        self.chronicle = Chronicle(
            self.events.append,
            audio_ms=lambda: round(self.now_s * 1000),
            clock=lambda: self.now_s,
            now=lambda: NOON + timedelta(seconds=self.now_s),
        )

    @property
    def kinds(self) -> list[str]:
        return [note.kind for note in self.chronicle.take()]


def test_what_is_told_is_passed_on_and_noted() -> None:
    told = Told()
    events: list[Event] = [AudioWarning("clipping"), Expiring(120_000, "session_timeout"), RecogniserStatus("ok", 0)]
    for event in events:
        told.chronicle.tell(event)
    assert told.events == events
    assert told.kinds == ["warned", "expiring"]
    assert told.chronicle.take() == []


def test_the_same_warning_is_noted_once_a_minute() -> None:
    told = Told()
    for _again in range(5):
        told.chronicle.tell(AudioWarning("silence"))
    told.chronicle.tell(AudioWarning("clipping"))
    told.now_s = SAME_WARNING_S
    told.chronicle.tell(AudioWarning("silence"))
    assert [note.detail["code"] for note in told.chronicle.take()] == ["silence", "clipping", "silence"]


def test_an_outage_is_noted_with_its_length_and_a_renewal_without() -> None:
    told = Told()
    told.chronicle.leaves("rotation")
    told.chronicle.listens()
    told.chronicle.leaves("recogniser_failed")
    told.now_s = 1.5
    told.chronicle.leaves("recogniser_failed")
    told.now_s = 2.0
    told.chronicle.listens()
    notes = told.chronicle.take()
    assert [note.kind for note in notes] == ["reopening", "reopening", "reopening", "reopened"]
    assert (notes[-1].detail, notes[-1].audio_ms) == ({"away_ms": 2000}, 2000)
    assert notes[-1].at == NOON + timedelta(seconds=2)


def test_a_pause_is_noted_with_its_end() -> None:
    told = Told()
    told.chronicle.listens()
    told.chronicle.pauses()
    told.chronicle.listens()
    assert told.kinds == ["paused", "continued"]


def test_a_chronicle_that_nobody_empties_does_not_grow() -> None:
    told = Told()
    for _time in range(MAX_NOTES + 50):
        told.chronicle.pauses()
    assert len(told.chronicle.take()) == MAX_NOTES


@in_virtual_time
async def test_a_session_whose_recogniser_fails_notes_the_loss_and_the_return() -> None:
    async with LiveSession() as session:
        await session.opened()
        session.live.feed(SPEECH)
        session.stream.fail(RecogniserFailed("gone", reason="recogniser_failed"))
        await session.recogniser.opened(2)
        await asyncio.sleep(0)
        notes = session.live.chronicle.take()
        session.stop()
    assert [note.kind for note in notes][:3] == ["opened", "reopening", "reopened"]
    assert notes[1].detail == {"reason": "recogniser_failed"}


# In the database


@pytest.mark.django_db
@pytest.mark.databases
def test_notes_of_many_sessions_are_written_together() -> None:
    one, two = make_session(), make_session()
    write_chronicles([(one.pk, [Note(NOON, "paused")]), (two.pk, [Note(NOON, "continued", 7)])])
    assert [event.kind for event in read_events(one.pk)] == ["paused"]
    assert [(event.kind, event.audio_ms) for event in read_events(two.pk)] == [("continued", 7)]


@pytest.mark.django_db(transaction=True)
@pytest.mark.databases
def test_a_session_that_was_deleted_meanwhile_keeps_nothing_from_the_others() -> None:
    there, gone = make_session(), make_session()
    pk = gone.pk
    services.delete_session(gone)
    write_chronicles([(pk, [Note(NOON, "paused")]), (there.pk, [Note(NOON, "paused")])])
    assert list(SessionEvent.objects.values_list("session", flat=True)) == [there.pk]


@pytest.mark.django_db
@pytest.mark.databases
def test_the_log_of_a_session_is_bounded_and_says_where_it_ends() -> None:
    session = make_session()
    write_chronicles([(session.pk, [Note(NOON, "paused")] * MAX_PER_SESSION)])
    note(session.pk, Kind.RESUMED, gap_ms=1)
    events = read_events(session.pk)
    assert (len(events), events[-1].kind) == (MAX_PER_SESSION, "cut_short")


@pytest.mark.django_db
@pytest.mark.databases
def test_asking_for_a_stop_is_noted_once_with_who_and_why() -> None:
    session = make_session(state=State.LIVE)
    user = make_user()
    services.request_stop(session, user, "The room is needed.")
    services.request_stop(session, user, "Again.")
    [event] = read_events(session.pk)
    assert (event.kind, event.detail) == ("stop_requested", {"by": user.username, "reason": "The room is needed."})


@pytest.mark.django_db
@pytest.mark.databases
def test_deleting_a_session_deletes_its_log() -> None:
    session = make_session()
    note(session.pk, Kind.PAUSED)
    services.delete_session(session)
    assert not SessionEvent.objects.exists()


# In words


def test_every_kind_has_a_sentence() -> None:
    assert set(WORDS) == set(Kind)
    for kind, find in WORDS.items():
        text, tone = find({"code": "silence"})
        assert text, kind
        assert tone in ("", "info", "warn", "danger")


DETAILS: list[tuple[str, dict[str, Any], str]] = [
    ("opened", {"recogniser": "riva:50051", "model": "conformer"}, "The recogniser listens: riva:50051, conformer."),
    ("reopening", {"reason": "rotation"}, "The recogniser's stream was renewed at a pause."),
    ("reopened", {"away_ms": 2400}, "The recogniser listens again after 2.4 s."),
    ("resumed", {"away_ms": 3100, "gap_ms": 1200}, "The client came back after 3.1 s; 1.2 s of audio is lost."),
    ("resumed", {"away_ms": 3100, "gap_ms": 0}, "The client came back after 3.1 s; nothing is lost."),
    (
        "expiring",
        {"reason": "draining", "in_ms": 1},
        "The client was asked to go on elsewhere: this server is being updated.",
    ),
    ("detached", {"reason": "client_lost"}, "The connection to the speaker was lost. It may come back."),
    ("stop_requested", {"by": "zoe", "reason": "Enough"}, "zoe asked for the stop. “Enough”"),
]


@pytest.mark.parametrize(("kind", "detail", "sentence"), DETAILS)
def test_what_happened_reads_as_a_sentence(kind: str, detail: dict[str, Any], sentence: str) -> None:
    assert WORDS[kind](detail)[0] == sentence


@pytest.mark.django_db
def test_the_timeline_runs_from_the_start_to_the_end() -> None:
    started = timezone.now() - timedelta(minutes=5)
    session = make_session(
        "one", started_at=started, ended_at=started + timedelta(minutes=2), end_reason="client", state=State.COMPLETED
    )
    write_chronicles([(session.pk, [Note(started + timedelta(minutes=1), "paused")])])
    texts = [entry.text for entry in timeline_of(session, read_events(session.pk))]
    assert texts[0] == "Started."
    assert texts[1].startswith("No audio comes")
    assert texts[2] == "Completed. The speaker stopped it."


@pytest.mark.django_db
def test_whoever_may_see_that_a_session_exists_may_read_its_log_and_nobody_else() -> None:
    session = make_session("secret words", owner=make_user())
    url = reverse("session_timeline", kwargs={"public_id": session.public_id})
    answers = {}
    for permission in ("view_live", ""):
        client = Client()
        client.force_login(make_user(*filter(None, [permission])))
        answers[permission] = client.get(url)
    assert answers["view_live"].json()["entries"][0]["text"] == "Started."
    assert "secret" not in answers["view_live"].content.decode()
    assert answers[""].status_code == 404
