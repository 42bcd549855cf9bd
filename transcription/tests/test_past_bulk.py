"""What is done to several sessions at once, by its forms: they work without a script."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from transcription.audit.models import AuditEvent
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.past.models import ReviewAssignment
from transcription.review.models import Review
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

EVERYTHING = (
    "view_captions", "export_transcriptionsession", "delete_transcriptionsession", "change_transcriptionsession",
    "change_transcriptsegment",
)  # fmt: skip


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def boss() -> Client:
    return client_of(make_user(*EVERYTHING))


def act(client: Client, action: str, *sessions: TranscriptionSession, **fields: str) -> tuple[int, str]:
    """Status and text of the page one sees in the end."""
    chosen = [session.public_id for session in sessions]
    answer = client.post(reverse("sessions_do"), {"action": action, "chosen": chosen, **fields}, follow=True)
    return answer.status_code, answer.content.decode()


def test_the_chosen_ones_are_exported_as_a_zip(boss: Client) -> None:
    one, two, _other = (make_session(text) for text in ("first words", "second words", "not chosen"))
    chosen = {"action": "export", "format": "txt", "chosen": [one.public_id, two.public_id]}
    answer = boss.post(reverse("sessions_do"), chosen)
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert texts == {f"{one.public_id}.txt": "first words\n", f"{two.public_id}.txt": "second words\n"}


def unzipped(answer: Any) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        return {name.rpartition(".")[2]: archive.read(name).decode("utf-8", "replace") for name in archive.namelist()}


def test_a_zip_takes_every_option_of_a_single_file(boss: Client) -> None:
    session = make_session("one two three four five", gaps=[[0, 32_000]])
    segment = session.segments.get()
    TranscriptSegment.objects.filter(pk=segment.pk).update(text="won two three four five", speaker="Zoe")
    options = {"text": "machine", "speakers": "true", "gaps": "false", "times": "true", "line_characters": "10"}
    chosen = {"action": "export", "chosen": [session.public_id], **options}
    answer = boss.post(reverse("sessions_do"), chosen)
    found = unzipped(answer)
    assert set(found) == {"txt", "docx", "srt", "vtt", "csv", "json"}
    for format in ("txt", "srt", "vtt", "csv", "json"):
        single = boss.get(f"/console/sessions/{session.public_id}/export.{format}", options)
        assert found[format] == single.getvalue().decode()
    assert "Zoe" in found["srt"]
    assert "won" not in found["txt"]
    usual = unzipped(boss.post(reverse("sessions_do"), {"action": "export", "chosen": [session.public_id]}))
    assert "won" in usual["txt"]
    assert usual["txt"] != found["txt"]


def test_the_options_of_a_zip_are_chosen_on_a_page_that_keeps_what_was_chosen(boss: Client) -> None:
    sessions = [make_session("one") for _ in range(2)]
    chosen = [session.public_id for session in sessions]
    answer = boss.post(
        reverse("sessions_do"), {"action": "export_options", "chosen": chosen, "format": "srt", "query": "q=one"}
    )
    html = answer.content.decode()
    assert answer.status_code == 200
    assert all(f'name="chosen" value="{public_id}"' in html for public_id in chosen)
    assert '<option value="srt" selected>' in html
    assert 'value="q=one"' in html
    assert not AuditEvent.objects.filter(what="exported_many").exists()


def test_a_wrong_option_of_a_zip_is_told_at_its_field(boss: Client) -> None:
    chosen = {"action": "export", "chosen": [make_session("one").public_id], "lines": "99", "format": "pdf"}
    answer = boss.post(reverse("sessions_do"), chosen)
    assert answer.status_code == 400
    assert list(answer.context["export_form"].errors) == ["format", "lines"]
    assert 'name="chosen"' in answer.content.decode()


def test_a_few_are_deleted_after_a_question(boss: Client) -> None:
    session = make_session("words", title="Board meeting")
    _status, page = act(boss, "delete", session)
    assert "Delete 1 session?" in page
    assert "Board meeting" in page
    assert TranscriptionSession.objects.exists()
    _status, page = act(boss, "delete", session, confirmed="1")
    assert "1 session was deleted." in page
    assert not TranscriptionSession.objects.exists()


@pytest.mark.parametrize("typed", ["", "10", "eleven"])
def test_more_than_ten_are_deleted_only_when_their_number_is_typed(boss: Client, typed: str) -> None:
    sessions = [make_session() for _ in range(11)]
    status, page = act(boss, "delete", *sessions, confirmed="1", typed=typed)
    assert status == 400
    assert "Nothing was deleted." in page
    assert TranscriptionSession.objects.count() == 11
    act(boss, "delete", *sessions, confirmed="1", typed="11")
    assert TranscriptionSession.objects.count() == 0


def test_a_live_session_stays(boss: Client) -> None:
    live = make_session(title="Still talking", state="live")
    _status, page = act(boss, "delete", live, make_session(), confirmed="1")
    assert "1 session was deleted." in page
    assert "Live or protected, so not deleted: Still talking" in page
    assert TranscriptionSession.objects.get() == live


def test_somebody_is_to_review_and_another_in_their_place(boss: Client) -> None:
    zoe, ben = (make_user("view_captions", "change_transcriptsegment") for _ in range(2))
    sessions = [make_session() for _ in range(2)]
    act(boss, "assign", *sessions, reviewer=str(zoe.pk))
    _status, page = act(boss, "assign", sessions[0], reviewer=str(ben.pk))
    assert f"{ben.username} is to review 1 session." in page
    assert {found.session_id: found.reviewer for found in ReviewAssignment.objects.all()} == {
        sessions[0].pk: ben,
        sessions[1].pk: zoe,
    }
    act(boss, "assign", *sessions, reviewer="0")
    assert not ReviewAssignment.objects.exists()


@pytest.mark.parametrize("wanted", ["", "x", "999999", "9" * 40])
def test_who_cannot_review_is_not_assigned(boss: Client, wanted: str) -> None:
    _status, page = act(boss, "assign", make_session(), reviewer=wanted)
    assert "Choose who shall review." in page
    reader = make_user("view_captions")
    act(boss, "assign", make_session(), reviewer=str(reader.pk))
    assert not ReviewAssignment.objects.exists()


def test_transcripts_are_marked_reviewed_as_they_stand(boss: Client) -> None:
    untouched, edited, live = make_session("a"), make_session("b"), make_session("c", state="live", title="Talk")
    Review.objects.create(session=edited, version=4)
    _status, page = act(boss, "reviewed", untouched, edited, live)
    assert "2 sessions are marked reviewed." in page
    assert "Not ended yet, or edited right now: Talk" in page
    assert Review.objects.filter(reviewed_at__isnull=False).count() == 2


@pytest.mark.parametrize("action", ["export", "delete", "assign", "reviewed"])
def test_nothing_is_done_where_one_of_them_is_not_allowed(action: str) -> None:
    reader = make_user("view_captions")
    own, others = make_session("own", owner=reader), make_session("others", title="Not yours")
    _status, page = act(client_of(reader), action, own, others, confirmed="1", reviewer="0")
    assert "Nothing was done. You may not do this to: Not yours" in page
    assert TranscriptionSession.objects.count() == 2
    assert not Review.objects.exists()


def test_what_somebody_may_not_see_is_not_named() -> None:
    session = make_session(title="Secret")
    _status, page = act(client_of(make_user()), "delete", session, confirmed="1")
    assert "No session was chosen." in page
    assert "Secret" not in page


def test_nothing_chosen_is_told_and_the_list_stays_where_it_was(boss: Client) -> None:
    make_session(state="failed")
    answer = boss.post(reverse("sessions_do"), {"action": "export", "query": "state=failed"})
    assert answer["Location"] == f"{reverse('sessions')}?state=failed"


@pytest.mark.parametrize("fields", [{"action": "x"}, {}])
def test_an_unknown_action_is_not_found(boss: Client, fields: dict[str, str]) -> None:
    session = make_session()
    assert boss.post(reverse("sessions_do"), {"chosen": session.public_id, **fields}).status_code == 404


def test_it_needs_a_form_of_ours() -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user(*EVERYTHING))
    session = make_session()
    answer = client.post(reverse("sessions_do"), {"action": "delete", "chosen": session.public_id, "confirmed": "1"})
    assert answer.status_code == 403
    assert TranscriptionSession.objects.exists()


def test_rows_can_be_chosen_only_where_something_may_be_done() -> None:
    make_session(title="Talk")
    page = client_of(make_user("view_captions")).get(reverse("sessions")).content.decode()
    assert "Talk" in page
    assert 'name="chosen"' not in page
