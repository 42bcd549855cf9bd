"""The pages as HTTP answers: who gets which, and what stands in them."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from transcription.console.ledger_view import BAR_COLUMNS
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.pages.views import list_languages
from transcription.riva.offer import RivaModel
from transcription.search.session_list import SEGMENTS_PER_PART
from transcription.tests.rows import make_session, make_user

pytestmark = pytest.mark.django_db

State = TranscriptionSession.State
SOMEBODY_ELSE = "192.0.2.7"
THIS_MACHINE = {"Host": "127.0.0.1"}
ALL_PERMISSIONS = ("view_live", "view_captions", "stop_transcriptionsession", "export_transcriptionsession")
HOSTILE = "<script>alert(1)</script>"


def page_of(session: TranscriptionSession, name: str = "session", **arguments: str) -> str:
    return reverse(name, kwargs={"public_id": session.public_id, **arguments})


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize("name", ["sessions", "live", "health", "live_table", "last_hour"])
def test_a_stranger_is_sent_to_the_login_and_back(name: str) -> None:
    answer = Client().get(reverse(name), REMOTE_ADDR=SOMEBODY_ELSE)
    assert answer.status_code == 302
    assert answer.headers["Location"] == f"{reverse('login')}?next={reverse(name)}"


def test_somebody_on_this_machine_sees_sessions_made_here_without_an_account() -> None:
    make_session("said by nobody", title="Mine", owner=None, api_key=None)
    make_session("said by a user", title="Theirs", owner=make_user())
    text = Client(headers=THIS_MACHINE).get(reverse("sessions")).content.decode()
    assert "Mine" in text
    assert "Theirs" not in text


def test_the_console_needs_a_login_even_on_this_machine() -> None:
    assert Client(headers=THIS_MACHINE).get(reverse("live")).status_code == 302


def test_the_console_tells_who_may_not_watch_which_group_gives_it() -> None:
    answer = client_of(make_user()).get(reverse("live"))
    assert answer.status_code == 403
    assert "The groups Viewer and Operator give that." in answer.content.decode()


@pytest.mark.parametrize(("permission", "page"), [("view_live", "live"), ("view_captions", "sessions")])
def test_the_login_leads_to_a_page_that_one_may_see(permission: str, page: str) -> None:
    user = make_user(permission)
    user.set_password("long enough for this")
    user.save()
    answer = Client().post(reverse("login"), {"username": user.username, "password": "long enough for this"})
    assert answer.headers["Location"] == reverse(page)


def test_the_console_shows_todays_numbers_and_stop_only_to_those_who_may() -> None:
    make_session("one", "two")
    watching = client_of(make_user("view_live")).get(reverse("live"))
    assert watching.context["facts"]["kpis"]["audio_today_ms"] == 4000
    assert "data-stop-dialog" not in watching.content.decode()
    stopping = client_of(make_user("view_live", "stop_transcriptionsession")).get(reverse("live"))
    assert "data-stop-dialog" in stopping.content.decode()


@pytest.mark.parametrize("name", ["live_table", "last_hour"])
def test_what_belongs_to_the_live_page_is_for_those_who_may_watch(name: str) -> None:
    assert client_of(make_user()).get(reverse(name)).status_code == 403
    assert client_of(make_user("view_live")).get(reverse(name)).status_code == 200


def test_a_session_of_somebody_else_does_not_exist() -> None:
    session = make_session("secret", owner=make_user())
    for name, arguments in (("session", {}), ("session_export", {"format": "txt"})):
        assert client_of(make_user()).get(page_of(session, name, **arguments)).status_code == 404


def test_who_may_watch_but_not_read_gets_the_facts_without_the_text() -> None:
    session = make_session("secret words", title="Council", owner=make_user())
    text = client_of(make_user("view_live")).get(page_of(session)).content.decode()
    assert "Council" in text
    assert "secret words" not in text


def test_searching_tells_nothing_of_texts_that_may_not_be_read() -> None:
    make_session("the secret word is quince", owner=make_user())
    answer = client_of(make_user("view_live")).get(reverse("sessions"), {"q": "quince"})
    assert answer.context["rows"] == []


def test_hostile_text_is_escaped_on_every_page() -> None:
    session = make_session(HOSTILE, title=HOSTILE, metadata={HOSTILE: HOSTILE}, state=State.FAILED, end_message=HOSTILE)
    client = client_of(make_user(*ALL_PERMISSIONS))
    for address in (page_of(session), reverse("sessions"), reverse("sessions") + "?q=alert"):
        text = client.get(address).content.decode()
        assert HOSTILE not in text
        assert "&lt;script&gt;alert" in text


def test_a_live_session_has_the_live_page_and_an_ended_one_its_transcript() -> None:
    client = client_of(make_user(*ALL_PERMISSIONS))
    live = make_session("still talking", state=State.LIVE, next_seq=1)
    answer = client.get(page_of(live))
    assert f"/api/v1/sessions/{live.public_id}/events" in answer.content.decode()
    assert answer.context["last_index"] == 0
    assert "data-transcript" in client.get(page_of(make_session("done"))).content.decode()


def test_the_page_says_what_never_reached_the_service_and_links_to_the_words_around_it() -> None:
    session = make_session("one", "two", audio_ms=9000, committed_bytes=9000 * 32, gaps=[[4000 * 32, 6400 * 32]])
    answer = client_of(make_user(*ALL_PERMISSIONS)).get(page_of(session))
    text = answer.content.decode()
    assert "2.4 s never reached the service." in text
    assert [(row.kind, row.address) for row in answer.context["ledger"].rows] == [
        ("recognised", "#segment-0"),
        ("lost", "#segment-1"),
        ("silent", "#segment-1"),
    ]
    assert '<a href="#segment-1">00:04.0</a>' in text


def test_the_page_says_what_came_and_was_not_recognised() -> None:
    session = make_session("one", state=State.INTERRUPTED, audio_ms=9000, committed_bytes=8000 * 32)
    text = client_of(make_user(*ALL_PERMISSIONS)).get(page_of(session)).content.decode()
    assert "1.0 s reached the service and were not recognised" in text


def test_the_page_says_when_nothing_was_lost() -> None:
    text = client_of(make_user(*ALL_PERMISSIONS)).get(page_of(make_session("one"))).content.decode()
    assert "Nothing was lost: all audio was heard." in text


def test_who_may_not_read_the_text_sees_the_ledger_without_its_links() -> None:
    session = make_session("secret", owner=make_user(), audio_ms=9000)
    text = client_of(make_user("view_live")).get(page_of(session)).content.decode()
    assert "data-ledger" in text
    assert "#segment-" not in text


def test_the_table_of_a_long_session_is_bounded_and_has_what_was_lost() -> None:
    session = make_session(audio_ms=4000 * 300, committed_bytes=4000 * 300 * 32, gaps=[[32, 3200]])
    TranscriptSegment.objects.bulk_create(
        TranscriptSegment(session=session, index=index, start_ms=4000 * index, end_ms=4000 * index + 3000, text="word")
        for index in range(300)
    )
    ledger = client_of(make_user(*ALL_PERMISSIONS)).get(page_of(session)).context["ledger"]
    assert ledger.is_partial
    assert [row.kind for row in ledger.rows] == ["lost"]
    assert len(ledger.marks) <= BAR_COLUMNS


def test_the_page_of_a_session_whose_client_is_away_says_until_when_it_may_come_back() -> None:
    now = timezone.now()
    until = now + timedelta(minutes=9)
    session = make_session(
        "still here",
        state=State.DETACHED,
        end_reason="client_lost",
        next_seq=1,
        detached_at=now,
        resume_until=until,
    )
    text = client_of(make_user(*ALL_PERMISSIONS)).get(page_of(session)).content.decode()
    assert "Waiting for the client to come back, until" in text
    assert until.isoformat() in text
    assert f"/api/v1/sessions/{session.public_id}/events" in text


def test_a_session_whose_client_is_away_is_stopped_at_once() -> None:
    session = make_session("still here", state=State.DETACHED, resume_until=timezone.now() + timedelta(minutes=9))
    operator = make_user(*ALL_PERMISSIONS)
    client_of(operator).post(page_of(session, "session_stop"), {"reason": "Fire drill"})
    session.refresh_from_db()
    assert (session.state, session.end_reason, session.stop_reason) == (State.COMPLETED, "operator", "Fire drill")


def test_a_long_transcript_comes_in_parts() -> None:
    count = SEGMENTS_PER_PART + 2
    session = make_session(*(f"number {i}" for i in range(count)), next_seq=count)
    client = client_of(make_user(*ALL_PERMISSIONS))
    assert len(client.get(page_of(session)).context["segments"]) == SEGMENTS_PER_PART
    for part, shown in (("1", 2), ("7", 2), ("nonsense", SEGMENTS_PER_PART), ("9" * 30, SEGMENTS_PER_PART)):
        assert len(client.get(page_of(session), {"part": part}).context["segments"]) == shown


@pytest.mark.parametrize("format", ["txt", "srt", "vtt", "json"])
def test_a_transcript_is_exported(format: str) -> None:
    answer = client_of(make_user(*ALL_PERMISSIONS)).get(
        page_of(make_session("the harvest festival"), "session_export", format=format)
    )
    content = b"".join(answer.streaming_content)  # type: ignore[attr-defined]
    assert b"the harvest festival" in content
    assert f".{format}" in answer.headers["Content-Disposition"]
    if format == "json":
        json.loads(content)


def test_an_unknown_format_is_not_found() -> None:
    session = make_session("words")
    answer = client_of(make_user(*ALL_PERMISSIONS)).get(page_of(session, "session_export", format="pdf"))
    assert answer.status_code == 404


def test_reading_does_not_include_exporting_what_others_said() -> None:
    session = make_session("words", owner=make_user())
    reader = client_of(make_user("view_captions"))
    assert "data-export" not in reader.get(page_of(session)).content.decode()
    assert reader.get(page_of(session, "session_export", format="txt")).status_code == 403


def test_a_stop_is_asked_for_with_its_reason() -> None:
    session = make_session(state=State.LIVE)
    operator = make_user(*ALL_PERMISSIONS)
    client = client_of(operator)
    address = page_of(session, "session_stop")
    answer = client.post(address, {"reason": "Fire drill"}, headers={"Accept": "application/json"})
    assert answer.json() == {"stop_requested": True}
    session.refresh_from_db()
    assert (session.stop_reason, session.stop_requested_by) == ("Fire drill", operator)


def test_a_stop_that_comes_too_late_is_told() -> None:
    answer = client_of(make_user(*ALL_PERMISSIONS)).post(page_of(make_session("done"), "session_stop"), follow=True)
    assert "already ended" in answer.content.decode()


def test_watching_does_not_include_stopping() -> None:
    session = make_session(state=State.LIVE, owner=make_user())
    assert client_of(make_user("view_live")).post(page_of(session, "session_stop")).status_code == 403
    session.refresh_from_db()
    assert session.stop_requested_at is None


@pytest.mark.parametrize("name", ["session_stop", "session_delete"])
def test_nothing_is_stopped_or_deleted_by_a_link_or_from_another_site(name: str) -> None:
    session = make_session(state=State.LIVE)
    operator = make_user(*ALL_PERMISSIONS, "delete_transcriptionsession")
    assert client_of(operator).get(page_of(session, name)).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(operator)
    assert strict.post(page_of(session, name)).status_code == 403
    assert TranscriptionSession.objects.filter(pk=session.pk, stop_requested_at=None).exists()


def test_a_session_is_deleted_by_those_who_may() -> None:
    session = make_session("gone", title="Old talk")
    address = page_of(session, "session_delete")
    assert client_of(make_user(*ALL_PERMISSIONS)).post(address).status_code == 403
    answer = client_of(make_user(*ALL_PERMISSIONS, "delete_transcriptionsession")).post(address, follow=True)
    assert "Deleted: Old talk" in answer.content.decode()
    assert not TranscriptionSession.objects.filter(pk=session.pk).exists()


def test_a_live_session_is_not_deleted() -> None:
    session = make_session(state=State.LIVE)
    client = client_of(make_user(*ALL_PERMISSIONS, "delete_transcriptionsession"))
    answer = client.post(page_of(session, "session_delete"), follow=True)
    assert "Stop it before" in answer.content.decode()
    assert TranscriptionSession.objects.filter(pk=session.pk).exists()


def test_pages_are_never_cached_and_obey_the_content_policy() -> None:
    answer = Client(headers=THIS_MACHINE).get(reverse("sessions"))
    assert "no-store" in answer.headers["Cache-Control"]
    assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    text = answer.content.decode()
    assert "style=" not in text
    assert " onclick=" not in text


def test_languages_are_the_streaming_models_with_the_default_first() -> None:
    models = [
        RivaModel("a", ("de-DE", "multi")),
        RivaModel("b", ("es-ES", "en-US")),
        RivaModel("c", ("fr-FR",), streaming=False),
    ]
    assert list_languages(models) == ["en-US", "de-DE", "es-ES"]
    assert list_languages([]) == ["en-US"]
    assert list_languages([RivaModel("a", ("ja-JP",))]) == ["ja-JP"]


def test_the_manifest_has_a_type_that_browsers_take() -> None:
    answer = Client().get("/static/manifest.webmanifest")
    assert answer.headers["Content-Type"] == "application/manifest+json"
