"""Recordings that are heard once more: who may ask for it, what is refused, and what the pages and the API show."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from speechsite.config import get_config
from transcription.audit.models import AuditEvent
from transcription.daily.counting import count_some
from transcription.errors import BadConfig, NotFound, SessionTaken, TooFast
from transcription.files.models import RERUN_DIALECT, FileJob
from transcription.models import DailyNumbers, PhraseSet, TranscriptionSession, TranscriptSegment
from transcription.recording.models import SessionRecording
from transcription.reruns.asking import ask_rerun
from transcription.reruns.forms import RerunForm
from transcription.retention import tombstones
from transcription.retention.models import RetentionRule, Tombstone
from transcription.retention.protecting import protect
from transcription.retention.purging import foresee, purge
from transcription.riva.offer import RivaModel
from transcription.services import delete_session
from transcription.tests.rows import make_session, make_user, principal_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

State = TranscriptionSession.State


def recorded(*texts: str, **fields: Any) -> TranscriptionSession:
    session = make_session(*texts, **fields)
    SessionRecording.objects.create(
        session=session, folder=f"f{session.pk}", state="complete", name=f"{session.pk}.wav", duration_ms=4000
    )
    return session


def rerun(session: TranscriptionSession, owner: Any, *texts: str) -> FileJob:
    """One that has been done."""
    job = ask_rerun(session, principal_of(owner), {}, max_jobs=10)
    result = make_session(*texts, public_id=job.public_id, owner=owner, dialect=RERUN_DIALECT, rerun_of=session)
    FileJob.objects.filter(pk=job.pk).update(state="completed", session=result, due_at=None)
    job.refresh_from_db()
    return job


def client_of(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_a_rerun_has_the_options_of_the_first_time_but_for_what_is_changed() -> None:
    anna = make_user()
    asked = {"language": "en-US", "sample_rate_hertz": 8000, "keep_audio": True, "profanity_filter": True}
    session = recorded("one", owner=anna, options_asked=asked, title="Talk")
    job = ask_rerun(session, principal_of(anna), {"language": "de-DE"}, max_jobs=10)
    assert job.options == {"language": "de-DE", "profanity_filter": True, "title": "Talk", "keep_audio": False}
    assert (job.rerun_of, job.state, job.duration_ms) == (session, "queued", 4000)


def test_what_cannot_be_heard_again_is_refused() -> None:
    anna = make_user()
    who = principal_of(anna)
    with pytest.raises(NotFound, match="no recording"):
        ask_rerun(make_session("one", owner=anna), who, {}, max_jobs=10)
    with pytest.raises(SessionTaken):
        ask_rerun(recorded("one", owner=anna, state=State.LIVE), who, {}, max_jobs=10)
    with pytest.raises(BadConfig) as caught:
        ask_rerun(recorded("one", owner=anna), who, {"endpointing": {"stop_history": "long"}}, max_jobs=10)
    assert caught.value.field == "endpointing.stop_history"
    with pytest.raises(TooFast):
        ask_rerun(recorded("one", owner=anna), who, {}, max_jobs=0)


def test_reruns_go_with_the_original_whosever_they_are_and_each_leaves_its_tombstone() -> None:
    anna, ben = make_user(), make_user()
    session = recorded("one", owner=anna)
    done, waiting = rerun(session, ben, "won", "two"), ask_rerun(session, principal_of(anna), {}, max_jobs=10)
    stones = delete_session(session)
    assert not FileJob.objects.exists()
    assert not TranscriptionSession.objects.exists()
    assert [(stone.public_id, stone.rerun_of, stone.reruns, stone.segments) for stone in stones] == [
        (done.public_id, session.public_id, 0, 2),
        (session.public_id, "", 1, 1),
    ]
    assert all(stone.finished_at is not None for stone in Tombstone.objects.all())
    assert stones[1].rows["filejob"] == 2
    assert waiting.session is None
    noted = AuditEvent.objects.get(what="deleted", object_id=done.public_id)
    assert noted.details["rerun_of"] == session.public_id


def test_a_rerun_that_is_deleted_leaves_its_original() -> None:
    anna = make_user()
    session = recorded("one", owner=anna)
    job = rerun(session, anna, "won")
    assert job.session is not None
    delete_session(job.session)
    assert TranscriptionSession.objects.get() == session


def test_a_rerun_that_is_not_tied_to_its_original_yet_goes_as_well() -> None:
    """A process was killed between making the session and tying it."""
    anna = make_user()
    session = recorded("one", owner=anna)
    job = ask_rerun(session, principal_of(anna), {}, max_jobs=10)
    make_session("won", public_id=job.public_id, owner=anna, state=State.DETACHED)
    delete_session(session)
    assert not TranscriptionSession.objects.exists()


@pytest.mark.parametrize("why", ["at work", "live", "protected"])
def test_a_rerun_that_may_not_go_keeps_its_original(why: str) -> None:
    anna = make_user()
    session = recorded("one", owner=anna, ended_at=timezone.now() - timedelta(days=40))
    session_before = TranscriptionSession.objects.filter(pk=session.pk)
    session_before.update(created_at=timezone.now() - timedelta(days=40))
    if why == "at work":
        job = ask_rerun(session, principal_of(anna), {}, max_jobs=10)
        FileJob.objects.filter(pk=job.pk).update(lease_until=timezone.now() + timedelta(minutes=1), state="running")
    else:
        again = rerun(session, anna, "won").session
        assert again is not None
        if why == "live":
            TranscriptionSession.objects.filter(pk=again.pk).update(state=State.LIVE)
        else:
            protect(again, "court order 7")
    reason = "session_protected" if why == "protected" else "rerun_running"
    with pytest.raises(SessionTaken) as refused:
        delete_session(session)
    assert refused.value.reason == reason
    assert client_of(anna).delete(f"/api/v1/sessions/{session.public_id}").json()["reason"] == reason
    (done,), _is_all = purge([RetentionRule.objects.create(name="thirty", after_days=30)], get_config())
    assert done.sessions == 0
    assert session.segments.count() == 1


def test_a_dry_run_and_a_purge_count_reruns_alike() -> None:
    anna = make_user()
    session = recorded("one", owner=anna)
    rerun(session, anna, "won", "two")
    TranscriptionSession.objects.filter(pk=session.pk).update(created_at=timezone.now() - timedelta(days=40))
    found = [RetentionRule.objects.create(name="thirty", after_days=30)]
    foreseen, (done,) = foresee(found), purge(found, get_config())[0]
    assert foreseen == [done]
    assert (done.sessions, done.reruns, done.segments, done.audio_ms) == (2, 1, 3, 6000)
    assert not TranscriptionSession.objects.exists()


def test_nothing_is_run_again_once_its_deletion_has_begun() -> None:
    anna = make_user()
    session = recorded("one", owner=anna)
    tombstones.begin(session)
    with pytest.raises(SessionTaken) as refused:
        ask_rerun(session, principal_of(anna), {}, max_jobs=10)
    assert refused.value.reason == "session_deleted"


MODELS = (RivaModel("small", ("en-US", "de-DE")), RivaModel("large", ("en-US",)))


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"model": "huge"}, "model", "large, small"),
        ({"language": "fr-FR"}, "language", "de-DE, en-US"),
        ({"model": "large", "language": "de-DE"}, "language", "en-US"),
        ({"endpointing": {"stop_threshold": 2}}, "endpointing.stop_threshold", "1"),
        ({"speech_contexts": [{"phrases": ["Ipswich"], "boost": 101}]}, "speech_contexts.0.boost", "100"),
    ],
)
def test_what_the_recogniser_does_not_have_is_refused_when_it_is_asked_for(
    changes: dict[str, Any], field: str, words: str
) -> None:
    anna = make_user()
    session = recorded("one", owner=anna, options_asked={"language": "en-US"})
    with pytest.raises(BadConfig, match=words) as refused:
        ask_rerun(session, principal_of(anna), changes, max_jobs=10, offered=MODELS)
    assert refused.value.field == field
    assert not FileJob.objects.exists()
    job = ask_rerun(session, principal_of(anna), {"model": "small", "language": "de-DE"}, max_jobs=10, offered=MODELS)
    assert job.options["model"] == "small"


@pytest.mark.parametrize(
    ("data", "field"),
    [({"model": "large", "language": "de-DE"}, "language"), ({"phrases": "x" * 201}, "phrases")],
)
def test_the_form_says_at_the_field_what_is_wrong(data: dict[str, str], field: str) -> None:
    data = {"language": "en-US", "boost": "20"} | data
    form = RerunForm(recorded("one", owner=make_user()), MODELS, PhraseSet.objects.none(), data)
    assert not form.is_valid()
    assert list(form.errors) == [field]
    assert [value for value, _label in form.fields["model"].widget.choices] == ["", "large", "small"]


def test_a_rerun_is_not_counted_into_the_numbers_of_days() -> None:
    anna = make_user()
    session = recorded("one", owner=anna)
    job = rerun(session, anna, "won")
    TranscriptionSession.objects.update(ended_at=session.created_at)
    assert job.session is not None
    assert count_some()
    assert sum(row.sessions for row in DailyNumbers.objects.all()) == 1


# The API


def path(session: TranscriptionSession, rest: str = "") -> str:
    return f"/api/v1/sessions/{session.public_id}/reruns{rest}"


def test_reruns_are_asked_for_listed_and_compared_over_the_api() -> None:
    anna = make_user()
    session = recorded("good morning", "to all of you", owner=anna)
    client = client_of(anna)
    answer = client.post(path(session), {"model": "large"}, content_type="application/json")
    assert answer.status_code == 202, answer.content
    queued = answer.json()
    assert (queued["state"], queued["rerun_of"], queued["session_id"]) == ("queued", session.public_id, None)
    assert queued["options"]["model"] == "large"
    assert client.get(path(session, f"/{queued['rerun_id']}")).json()["reason"] == "not_started"
    FileJob.objects.all().delete()
    job = rerun(session, anna, "good evening", "to all of you")
    TranscriptSegment.objects.filter(session=session, index=0).update(text="good evening")
    assert [each["rerun_id"] for each in client.get(path(session)).json()["reruns"]] == [job.public_id]
    found = client.get(path(session, f"/{job.public_id}")).json()
    assert (found["original_word_error_rate"], found["rerun_word_error_rate"]) == (1 / 6, 0)
    assert [row["rerun"] for row in found["rows"]] == ["good evening", "to all of you"]


def test_the_same_request_with_the_same_key_makes_one_rerun() -> None:
    anna = make_user()
    session = recorded("one", owner=anna)
    for _time in range(2):
        answer = client_of(anna).post(path(session), {}, "application/json", headers={"Idempotency-Key": "again"})
        assert answer.status_code == 202
    assert FileJob.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"language": "no language!"}, "language"),
        ({"encoding": "MULAW"}, "encoding"),
        ({"endpointing": {"stop_history": -1}}, "endpointing.stop_history"),
        ({"speech_contexts": [{"phrases": []}]}, "speech_contexts.0.phrases"),
    ],
)
def test_a_wrong_field_is_named(body: dict[str, Any], field: str) -> None:
    anna = make_user()
    answer = client_of(anna).post(path(recorded("one", owner=anna)), body, content_type="application/json")
    assert answer.status_code == 422
    assert answer.json()["field"] == field


def test_others_need_to_read_and_hear_the_session() -> None:
    session = recorded("one", owner=make_user())
    statuses = [
        client_of(make_user(*permissions)).post(path(session), {}, content_type="application/json").status_code
        for permissions in ((), ("view_captions",), ("view_captions", "listen_transcriptionsession"))
    ]
    assert statuses == [404, 403, 202]


def test_the_transcript_of_a_rerun_is_shown_to_whom_its_session_is() -> None:
    """Both are sessions of their owners."""
    anna, ben = make_user(), make_user("view_captions", "listen_transcriptionsession")
    session = recorded("one", owner=anna)
    job = rerun(session, ben, "won")
    assert client_of(anna).get(path(session, f"/{job.public_id}")).status_code == 404
    assert client_of(anna).get(reverse("session_rerun", args=[session.public_id, job.public_id])).status_code == 404
    assert client_of(ben).get(path(session, f"/{job.public_id}")).status_code == 200


# The pages


def test_the_page_asks_for_a_rerun_and_shows_what_became_of_it() -> None:
    anna = make_user()
    session = recorded("good morning", owner=anna)
    client, address = client_of(anna), reverse("session_again", args=[session.public_id])
    assert "not been run again" in client.get(address).content.decode()
    form = {"language": "en-US", "phrases": "Ipswich\n\nWoodbridge", "boost": "10", "stop_history": "800"}
    assert client.post(address, form).status_code == 302
    options = FileJob.objects.get().options
    assert options["speech_contexts"] == [{"phrases": ["Ipswich", "Woodbridge"], "boost": 10.0}]
    assert options["endpointing"] == {"stop_history": 800}
    assert "Queued" in client.get(address).content.decode()


def test_the_page_offers_phrase_sets_and_knows_the_one_of_the_session_again() -> None:
    anna = make_user()
    mine = PhraseSet.objects.create(name="Towns", phrases="Ipswich\nWoodbridge", boost=7, owner=anna)
    theirs = PhraseSet.objects.create(name="Theirs", phrases="Ipswich", owner=make_user())
    asked = {"speech_contexts": [{"phrases": ["Ipswich", "Woodbridge"], "boost": 7.0}, {"phrases": ["Deben"]}]}
    session = recorded("good morning", owner=anna, options_asked=asked)
    client, address = client_of(anna), reverse("session_again", args=[session.public_id])
    html = client.get(address).content.decode()
    assert f'<option value="{mine.pk}" selected>Towns</option>' in html
    assert "Theirs" not in html
    assert re.search(r"<textarea[^>]*>\s*Deben</textarea>", html)
    form = {"language": "en-US", "phrase_set": str(mine.pk), "phrases": "Deben", "boost": "10"}
    assert client.post(address, form | {"phrase_set": str(theirs.pk)}).status_code == 400
    assert client.post(address, form).status_code == 302
    assert FileJob.objects.get().options["speech_contexts"] == [
        {"phrases": ["Ipswich", "Woodbridge"], "boost": 7.0},
        {"phrases": ["Deben"], "boost": 10.0},
    ]


def test_the_page_says_what_is_wrong() -> None:
    anna = make_user()
    session = recorded("one", owner=anna)
    address = reverse("session_again", args=[session.public_id])
    english = {"language": "en-US"}
    phrases = {"phrases": "x" * 201}
    for wrong in ({"language": "?!"}, english | {"stop_history": "-5"}, english | {"boost": "x"}, english | phrases):
        answer = client_of(anna).post(address, wrong)
        assert answer.status_code == 400
        assert answer.context["rerun_form"].errors
    assert not FileJob.objects.exists()


def test_both_transcripts_are_shown_beside_each_other_as_text() -> None:
    anna = make_user()
    session = recorded("good <b>morning", owner=anna)
    job = rerun(session, anna, "good <i>evening")
    client = client_of(anna)
    page = client.get(reverse("session_rerun", args=[session.public_id, job.public_id])).content.decode()
    assert "<del>&lt;b&gt;morning</del>" in page
    assert "<ins>&lt;i&gt;evening</ins>" in page
    assert "Compare" in client.get(reverse("session_again", args=[session.public_id])).content.decode()


def test_without_a_recording_the_page_offers_nothing() -> None:
    anna = make_user()
    session = make_session("one", owner=anna)
    page = client_of(anna).get(reverse("session_again", args=[session.public_id])).content.decode()
    assert "cannot be run again" in page
    assert 'name="boost"' not in page
