"""The admin as operators use it."""

from __future__ import annotations

import io
import json
import re
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from model_bakery import baker

from transcription.models import ApiKey, TranscriptionSession, TranscriptSegment, UsageDay, Worker
from transcription.review import operations
from transcription.review.authors import Author
from transcription.review.models import ReviewChange
from transcription.review.passages import PassageId
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

SESSIONS = "/admin/transcription/transcriptionsession/"
SEGMENTS = "/admin/transcription/transcriptsegment/"
KEYS = "/admin/transcription/apikey/"
USAGE = "/admin/transcription/usageday/"


def logged_in(*permissions: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(make_user(*permissions, is_staff=True, **fields))
    return client


@pytest.fixture
def boss() -> Client:
    return logged_in(is_superuser=True)


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def act(client: Client, action: str, *sessions: TranscriptionSession, **more: str) -> Any:
    data = {"action": action, "_selected_action": [session.pk for session in sessions], **more}
    return client.post(SESSIONS, data)


def test_lists_show_the_beginning_of_an_id(boss: Client) -> None:
    make_session("one", public_id="0123456789abcdef0123456789abcdef")
    for address in (SESSIONS, SEGMENTS):
        html = page(boss, address)
        assert "0123456789abcdef0…" in html
        assert ">0123456789abcdef0123456789abcdef" not in html


def test_the_session_list_says_who_spoke_and_why_it_ended(boss: Client) -> None:
    zoe = make_user()
    key, _text = ApiKey.create("Contact centre", owner=zoe)
    make_session("one", owner=zoe, api_key=key, end_reason="worker_lost", state="interrupted")
    make_session("two", owner=None, end_reason="client")
    html = page(boss, SESSIONS)
    assert f'{zoe.username}<span class="second-line">Contact centre</span>' in html
    assert "The server process that held it went away." in html
    assert "Stopped" not in html


def test_facts_that_are_not_known_are_a_dash(boss: Client) -> None:
    session = make_session("one", final_lag_p50_ms=None, stop_requested_at=None)
    assert "None" not in page(boss, f"{SESSIONS}{session.pk}/change/")


def test_every_page_opens_and_has_nothing_inline(boss: Client) -> None:
    session = make_session("one", "two", title="Board", state="live")
    segment = session.segments.all()[0]
    ApiKey.create("app")
    baker.make(Worker)
    addresses = [
        "/admin/",
        SESSIONS,
        f"{SESSIONS}?_facets=True",
        f"{SESSIONS}{session.pk}/change/",
        f"{SESSIONS}{session.pk}/delete/",
        f"{SESSIONS}{session.pk}/history/",
        f"{SEGMENTS}?_facets=True",
        f"{SEGMENTS}{segment.pk}/change/",
        f"{SEGMENTS}{segment.pk}/history/",
        KEYS,
        f"{KEYS}add/",
        f"{KEYS}{ApiKey.objects.get().pk}/change/",
        USAGE,
        "/admin/transcription/filejob/",
        "/admin/transcription/worker/",
    ]
    for address in addresses:
        html = page(boss, address)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)", html), address


def test_only_the_models_that_people_look_after_are_there(boss: Client) -> None:
    html = page(boss, "/admin/")
    models = set(re.findall(r"/admin/transcription/(\w+)/", html))
    assert models == {
        "transcriptionsession",
        "transcriptsegment",
        "apikey",
        "filejob",
        "usageday",
        "worker",
        "phraseset",
        "sessionrecording",
    }


def test_the_first_page_has_four_numbers(boss: Client) -> None:
    make_session(state="live")
    make_session("a", "b")
    make_session(state="failed")
    make_session(state="failed", created_at=timezone.now() - timedelta(days=3))
    html = page(boss, "/admin/")
    values = re.findall(r"<strong>([^<]+)</strong> <span>([^<]+)</span>", html)
    numbers = {label: value for value, label in values}
    assert numbers["Live now"].startswith("1 / ")
    assert numbers["Failed in 24 hours"] == "1"
    assert set(numbers) == {"Live now", "Sessions today", "Audio today", "Failed in 24 hours"}


def test_the_first_page_names_who_is_live_and_links_there(boss: Client) -> None:
    assert "Nobody is recording right now." in page(boss, "/admin/")
    for number in range(8):
        make_session(state="live", title=f"Talk {number}", owner=make_user())
    html = page(boss, "/admin/")
    assert len(re.findall(r"<bdi>Talk \d</bdi>", html)) == 6
    assert "2 more." in html
    assert 'href="/console/"' in html


def test_the_numbers_link_to_lists_that_open(boss: Client) -> None:
    cards = re.search(r'<ul class="cards">.*?</ul>', page(boss, "/admin/"), re.DOTALL)
    assert cards is not None
    links = re.findall(r'href="(/admin/[^"]+)"', cards.group())
    assert len(links) == 3
    for link in links:
        assert boss.get(link.replace("&amp;", "&")).status_code == 200


def test_the_list_of_sessions_takes_few_queries_however_long_it_is(boss: Client) -> None:
    def count() -> int:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            page(boss, SESSIONS)
        return len(queries)

    make_session("a", owner=make_user())
    few = count()
    for _number in range(20):
        make_session("a", owner=make_user())
    assert count() == few


def test_the_list_shows_the_mean_confidence(boss: Client) -> None:
    session = make_session("a", "b")
    session.segments.filter(index=0).update(confidence=0.5)
    session.segments.filter(index=1).update(confidence=1.0)
    assert "0.75" in page(boss, SESSIONS)


@pytest.mark.parametrize(
    "term", ["quick", "board meet", "abc-12", "zoe", "room:4 b", "ROOM-less", '"', "a:b:c", "room:"]
)
def test_sessions_are_searched_by_text_title_id_owner_and_metadata(boss: Client, term: str) -> None:
    zoe = make_user()
    User.objects.filter(pk=zoe.pk).update(username="zoe")
    zoe.refresh_from_db()
    make_session("the quick fox", title="Board meeting", public_id="abc-123", owner=zoe, metadata={"room": "4 b"})
    make_session("other", title="Other", public_id="x")
    html = page(boss, SESSIONS, q=term)
    is_expected = term in {"quick", "board meet", "abc-12", "zoe", "room:4 b"}
    assert ("Board meeting" in html) is is_expected
    assert ">Other<" not in html


def test_a_viewer_sees_facts_but_no_text_and_cannot_search_it() -> None:
    viewer = logged_in("view_live", "view_transcriptionsession")
    session = make_session("secret words", title="Board", owner=make_user())
    html = page(viewer, f"{SESSIONS}{session.pk}/change/")
    assert "Board" in html
    assert "secret" not in html
    assert "not yours to read" in html
    assert "Board" not in page(viewer, SESSIONS, q="secret")
    assert viewer.get(SEGMENTS).status_code == 403
    assert "stop_sessions" not in page(viewer, SESSIONS)


def test_segments_are_shown_fifty_at_a_time(boss: Client) -> None:
    session = make_session(*[f"text{number}." for number in range(120)])
    with CaptureQueriesContext(connection) as queries:
        html = page(boss, f"{SESSIONS}{session.pk}/change/")
    assert html.count('class="transcript-text"') == 50
    assert len(queries) < 20
    assert "of 120 segments" in html
    last = page(boss, f"{SESSIONS}{session.pk}/change/", segments="3")
    assert "text119." in last
    assert "text99." not in last
    assert "text119." in page(boss, f"{SESSIONS}{session.pk}/change/", segments="999")
    assert "text0." in page(boss, f"{SESSIONS}{session.pk}/change/", segments="x")


def test_text_is_shown_as_text(boss: Client) -> None:
    session = make_session("<script>alert(1)</script>", title="<b>bold</b>")
    segment = session.segments.get()
    for address in (
        SESSIONS,
        f"{SESSIONS}{session.pk}/change/",
        f"{SESSIONS}{session.pk}/delete/",
        SEGMENTS,
        f"{SEGMENTS}{segment.pk}/change/",
        f"{SEGMENTS}{segment.pk}/history/",
    ):
        html = page(boss, address)
        assert "<script>alert" not in html
        assert "<b>bold" not in html


def test_only_the_title_of_a_session_can_be_changed(boss: Client) -> None:
    session = make_session("a", title="before")
    boss.post(f"{SESSIONS}{session.pk}/change/", {"title": "after", "audio_ms": "1", "state": "failed"})
    session.refresh_from_db()
    assert (session.title, session.audio_ms, session.state) == ("after", 2000, "completed")


def test_sessions_link_to_the_console_and_back_to_their_segments(boss: Client) -> None:
    session = make_session("a")
    html = page(boss, f"{SESSIONS}{session.pk}/change/")
    assert reverse("session", kwargs={"public_id": session.public_id}) in html
    assert "View on site" in html
    assert page(boss, SEGMENTS, session__id__exact=str(session.pk)).count("action-checkbox") == 0
    assert reverse("session", kwargs={"public_id": session.public_id}) in page(
        boss, f"{SEGMENTS}{session.segments.get().pk}/change/"
    )


def test_stopping_asks_for_a_reason_and_leaves_a_trace(boss: Client) -> None:
    live, over = make_session(state="live", title="On air"), make_session(title="Over")
    asked = act(boss, "stop_sessions", live, over).content.decode()
    assert "On air" in asked
    assert "Over" not in asked
    live.refresh_from_db()
    assert live.stop_requested_at is None
    act(boss, "stop_sessions", live, confirmed="yes", reason="fire drill")
    live.refresh_from_db()
    assert live.stop_requested_at is not None
    assert live.stop_reason == "fire drill"
    assert live.stop_requested_by is not None
    assert "fire drill" in LogEntry.objects.get().get_change_message()


def test_stopping_what_is_not_live_says_so(boss: Client) -> None:
    response = act(boss, "stop_sessions", make_session())
    assert "None of the selected" in page(boss, response["Location"])


def test_actions_need_their_permission() -> None:
    viewer = logged_in("view_transcriptionsession")
    live = make_session("secret", state="live")
    act(viewer, "stop_sessions", live, confirmed="yes", reason="no")
    response = act(viewer, "export_json", live)
    live.refresh_from_db()
    assert live.stop_requested_at is None
    assert b"secret" not in response.content
    assert viewer.post(f"{SESSIONS}{live.pk}/delete/", {"post": "yes"}).status_code == 403


def test_the_export_action_gives_a_zip_or_one_json_file(boss: Client) -> None:
    first, second = make_session("alpha"), make_session("beta")
    response = act(boss, "export_zip", first, second)
    assert response["Content-Type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(response.getvalue())) as archive:
        assert archive.read(f"{first.public_id}.txt") == b"alpha\n"
    content = json.loads(act(boss, "export_json", first, second).getvalue())
    assert {item["session_id"] for item in content} == {first.public_id, second.public_id}


def test_deleting_says_what_goes_and_takes_the_segments_along(boss: Client) -> None:
    session = make_session("a", "b", title="Board")
    html = page(boss, f"{SESSIONS}{session.pk}/delete/")
    assert "Board: 4 s of audio, 2 segments" in html
    boss.post(f"{SESSIONS}{session.pk}/delete/", {"post": "yes"})
    assert not TranscriptionSession.objects.exists()
    assert not TranscriptSegment.objects.exists()


def test_several_are_deleted_after_the_same_question(boss: Client) -> None:
    sessions = [make_session("a", title="One"), make_session("b", title="Two")]
    asked = act(boss, "delete_selected", *sessions).content.decode()
    assert "One: 2 s of audio, 1 segment<" in asked
    assert "4 s of audio and 2 segments go" in asked
    assert TranscriptionSession.objects.count() == 2
    act(boss, "delete_selected", *sessions, confirmed="yes")
    assert not TranscriptionSession.objects.exists()


def test_a_live_session_is_not_deleted(boss: Client) -> None:
    session = make_session("a", state="live")
    assert "Stop it before" in page(boss, f"{SESSIONS}{session.pk}/delete/")
    boss.post(f"{SESSIONS}{session.pk}/delete/", {"post": "yes"})
    assert "Stop it before" in act(boss, "delete_selected", session, confirmed="yes").content.decode()
    assert TranscriptionSession.objects.filter(pk=session.pk).exists()


@pytest.fixture
def reviewer() -> Client:
    return logged_in("view_captions", "view_transcriptsegment", "change_transcriptsegment", "view_transcriptionsession")


def correct(client: Client, segment: TranscriptSegment, **changes: str) -> Any:
    data = {"text": segment.text, "speaker": segment.speaker, **changes}
    return client.post(f"{SEGMENTS}{segment.pk}/change/", data)


def test_a_correction_keeps_what_the_machine_heard_and_has_a_history(reviewer: Client) -> None:
    segment = make_session("wreck a nice beach").segments.get()
    correct(reviewer, segment, text="recognise speech", reviewed="on", asr_text="forged")
    segment.refresh_from_db()
    assert (segment.text, segment.asr_text, segment.reviewed) == (
        "recognise speech",
        "wreck a nice beach",
        True,
    )
    versions = list(segment.history.order_by("history_id"))
    assert [version.text for version in versions] == ["wreck a nice beach", "recognise speech"]
    assert versions[0].history_user is None
    assert versions[1].history_user is not None
    html = page(reviewer, f"{SEGMENTS}{segment.pk}/history/")
    assert "wreck a nice beach" in html
    assert "The machine" in html


def test_the_machines_version_can_be_restored_from_the_history(reviewer: Client) -> None:
    segment = make_session("as heard").segments.get()
    correct(reviewer, segment, text="as corrected")
    first = segment.history.order_by("history_id").first()
    assert first is not None
    address = f"{SEGMENTS}{segment.pk}/history/{first.pk}/"
    assert "as heard" in page(reviewer, address)
    reviewer.post(address, {"text": "as heard", "speaker": "", "_save": "Revert"})
    segment.refresh_from_db()
    assert segment.text == "as heard"


def test_a_correction_is_a_change_of_the_review(reviewer: Client) -> None:
    segment = make_session("wreck a nice beach").segments.get()
    correct(reviewer, segment, text="recognise speech")
    change = ReviewChange.objects.get()
    assert (change.kind, change.items[0]["is"]) == ("edit", {"text": "recognise speech"})


def test_a_segment_that_the_review_joined_or_marked_reviewed_is_not_corrected_here(reviewer: Client) -> None:
    session = make_session("one", "two")
    author = Author(None, "nobody", "Nobody")
    operations.merge(session, author, PassageId(1), 0, 0)
    for segment in session.segments.all():
        response = correct(reviewer, segment, text="else")
        assert "split or joined in the review" in reviewer.get(response["Location"]).content.decode()
    operations.restore(session, author, 1, 0)
    operations.mark_reviewed(session, author, 2)
    response = correct(reviewer, session.segments.get(index=0), text="else")
    html = reviewer.get(response["Location"]).content.decode()
    assert "marked reviewed" in html
    assert "was changed successfully" not in html
    assert [segment.text for segment in session.segments.order_by("index")] == ["one", "two"]


def test_saving_without_a_change_writes_no_history(reviewer: Client) -> None:
    segment = make_session("words").segments.get()
    correct(reviewer, segment)
    assert not segment.history.exists()


def test_a_reviewer_without_the_captions_permission_sees_own_segments_only() -> None:
    user = make_user("view_transcriptsegment", is_staff=True)
    client = Client()
    client.force_login(user)
    make_session("foreign words", owner=make_user())
    make_session("own words", owner=user)
    html = page(client, SEGMENTS)
    assert "own words" in html
    assert "foreign words" not in html


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"edited": "yes"}, {"changed"}),
        ({"edited": "no"}, {"sure", "unsure"}),
        ({"confidence": "low"}, {"unsure"}),
        ({"confidence": "high"}, {"sure"}),
        ({"confidence": "unknown"}, {"changed"}),
        ({"reviewed__exact": "1"}, {"sure"}),
        ({"q": "uns"}, {"unsure"}),
    ],
)
def test_segments_are_filtered_and_searched(boss: Client, filters: dict[str, str], expected: set[str]) -> None:
    session = make_session("sure", "unsure", "heard")
    session.segments.filter(index=0).update(confidence=0.9, reviewed=True)
    session.segments.filter(index=1).update(confidence=0.3)
    session.segments.filter(index=2).update(text="changed")
    html = page(boss, SEGMENTS, **filters)
    table = html[html.index("<tbody>") : html.index("</tbody>")]
    assert {word for word in ("sure", "unsure", "changed") if f">{word}<" in table} == expected


def test_a_segment_cannot_be_added_or_deleted_alone(boss: Client) -> None:
    segment = make_session("a").segments.get()
    assert boss.get(f"{SEGMENTS}add/").status_code == 403
    assert boss.post(f"{SEGMENTS}{segment.pk}/delete/", {"post": "yes"}).status_code == 403


def test_a_new_key_is_shown_once_with_something_to_try(boss: Client) -> None:
    owner = make_user()
    limits = {"max_sessions": "3", "rate_limit": "0", "monthly_minutes": "60"}
    scopes = {"scopes": ["transcribe", "metrics"]}
    response = boss.post(f"{KEYS}add/", {"name": "billing", "owner": str(owner.pk), **limits, **scopes})
    html = response.content.decode()
    found = re.search(r'id="key-text"[^>]*>(spk_[^<]+)<', html)
    assert found is not None
    key = ApiKey.find(found.group(1))
    assert key is not None
    assert (key.name, key.owner, key.scopes) == ("billing", owner, ["metrics", "transcribe"])
    assert (key.max_sessions, key.rate_limit, key.monthly_minutes, key.expires_at) == (3, 0, 60, None)
    assert "no-store" in response["Cache-Control"]
    assert f"Bearer {found.group(1)}" in html
    assert found.group(1) not in page(boss, KEYS)
    assert found.group(1) not in page(boss, f"{KEYS}{key.pk}/change/")
    assert LogEntry.objects.get().object_id == str(key.pk)
    assert found.group(1).split("_", 2)[2] not in str(list(LogEntry.objects.values()) + list(Session.objects.values()))
    assert key.digest not in html + page(boss, f"{KEYS}{key.pk}/change/")


def test_the_owner_of_a_key_is_settled_with_it(boss: Client) -> None:
    key, text = ApiKey.create("app", owner=make_user())
    fields = {"name": "renamed", "owner": str(make_user().pk), "scopes": "metrics"}
    limits = {"max_sessions": "1", "rate_limit": "2", "monthly_minutes": "3"}
    assert boss.post(f"{KEYS}{key.pk}/change/", fields | limits).status_code == 302
    again = ApiKey.find(text)
    assert again is not None
    assert (again.name, again.owner, again.scopes) == ("renamed", key.owner, ["metrics"])
    assert (again.max_sessions, again.rate_limit, again.monthly_minutes) == (1, 2, 3)


def test_a_key_without_any_scope_is_not_made(boss: Client) -> None:
    limits = {"max_sessions": "0", "rate_limit": "0", "monthly_minutes": "0"}
    assert boss.post(f"{KEYS}add/", {"name": "of no use", **limits}).status_code == 200
    assert not ApiKey.objects.exists()


def test_the_usual_scopes_of_a_new_key_are_ticked(boss: Client) -> None:
    boxes = re.findall(r"<input type=\"checkbox\" name=\"scopes\"[^>]*>", page(boss, f"{KEYS}add/"))
    assert len(boxes) == 5
    assert [re.search(r'value="([^"]+)"', box)[1] for box in boxes if "checked" in box] == [  # type: ignore[index]
        "transcribe",
        "sessions:read",
        "sessions:write",
    ]


def revoke(client: Client, *keys: ApiKey, **more: str) -> Any:
    return client.post(KEYS, {"action": "revoke_keys", "_selected_action": [key.pk for key in keys], **more})


def test_keys_are_revoked_after_a_question(boss: Client) -> None:
    key, text = ApiKey.create("lost")
    other, _text = ApiKey.create("other")
    asked = revoke(boss, key).content.decode()
    assert "Revoke 1 key" in asked
    assert f"spk_{key.prefix}" in asked
    key.refresh_from_db()
    assert key.revoked_at is None
    assert revoke(boss, key, confirmed="yes").status_code == 302
    html = page(boss, KEYS)
    assert "1 key is revoked." in html
    assert ">Revoked</span>" in html
    assert [one.name for one in ApiKey.objects.filter(revoked_at=None)] == [other.name]
    revoke(boss, key, confirmed="yes")
    assert "revoked before" in page(boss, KEYS)
    assert "lost" not in page(boss, f"{KEYS}?state=active")
    assert text not in html


def test_only_who_may_change_keys_revokes_them() -> None:
    viewer = make_user(is_staff=True)
    viewer.user_permissions.add(Permission.objects.get(codename="view_apikey"))
    client = Client()
    client.force_login(viewer)
    key, _text = ApiKey.create("app")
    assert "revoke_keys" not in page(client, KEYS)
    revoke(client, key, confirmed="yes")
    key.refresh_from_db()
    assert key.revoked_at is None


def test_usage_by_day_is_only_looked_at(boss: Client) -> None:
    user = make_user()
    key, _text = ApiKey.create("app", user)
    day = UsageDay.objects.create(day="2026-02-01", api_key=key, sessions=7, audio_ms=65_000)
    html = page(boss, USAGE)
    assert user.username in html
    assert "1:05" in html
    assert boss.get(f"{USAGE}add/").status_code == 403
    assert boss.post(f"{USAGE}{day.pk}/delete/", {"post": "yes"}).status_code == 403


def test_workers_are_only_looked_at(boss: Client) -> None:
    worker = baker.make(Worker, host="node-1")
    assert "node-1" in page(boss, "/admin/transcription/worker/")
    assert boss.get("/admin/transcription/worker/add/").status_code == 403
    assert boss.post(f"/admin/transcription/worker/{worker.pk}/delete/", {"post": "yes"}).status_code == 403


def test_groups_can_be_given_to_users_here(boss: Client) -> None:
    assert boss.get(reverse("admin:auth_group_changelist")).status_code == 200
    assert Group._meta.app_label in page(boss, "/admin/")
