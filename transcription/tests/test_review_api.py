"""Reviewing transcripts over the HTTP API."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from transcription import services
from transcription.exports import write_transcript
from transcription.exports.options import ExportOptions
from transcription.models import ApiKey, TranscriptionSession, TranscriptSegment
from transcription.review.models import ReviewChange, ReviewPassage
from transcription.search.queries import search_segments, search_sessions
from transcription.tests.rows import add_segments, make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


class Page:
    """A review as a client sees it."""

    def __init__(self, client: Client, session: TranscriptionSession) -> None:
        self.client = client
        self.path = f"/api/v1/sessions/{session.public_id}/review"

    def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        text = "" if body is None else json.dumps(body)
        response = self.client.generic(method, self.path + path, text, content_type="application/json")
        assert response.status_code == status, response.content
        return response.json() if response.content else None

    def read(self) -> Any:
        return self.ask("GET", "")

    def texts(self) -> list[tuple[str, str]]:
        return [(segment["id"], segment["text"]) for segment in self.read()["segments"]]

    def edit(self, id: str, version: int = 0, *, status: int = 200, **changes: Any) -> Any:
        return self.ask("PATCH", f"/segments/{id}", {"version": version, **changes}, status=status)


def login(*permissions: str, **fields: Any) -> Client:
    client = Client()
    client.force_login(make_user(*permissions, **fields))
    return client


@pytest.fixture
def session() -> TranscriptionSession:
    return make_session("wreck a nice beach", "how are you", "fine thanks", public_id="talk")


@pytest.fixture
def page(session: TranscriptionSession) -> Page:
    return Page(login("view_captions", "change_transcriptsegment", first_name="Zoe", last_name="Hall"), session)


def machine_rows(session: TranscriptionSession) -> list[Any]:
    return list(session.segments.order_by("index").values_list("index", "start_ms", "end_ms", "asr_text", "words"))


# Reading


def test_a_transcript_that_nobody_has_changed_is_the_machines(page: Page, session: TranscriptionSession) -> None:
    answer = page.read()
    assert (answer["version"], answer["why_read_only"], answer["next"], answer["locks"]) == (0, None, None, [])
    first = answer["segments"][0]
    assert (first["id"], first["text"], first["asr_text"], first["is_edited"]) == (
        "0", "wreck a nice beach", "wreck a nice beach", False,
    )  # fmt: skip
    assert [word["word"] for word in first["words"]] == ["wreck", "a", "nice", "beach"]
    assert not ReviewPassage.objects.exists()


def test_it_is_read_part_by_part_and_a_joined_segment_belongs_to_the_part_it_begins_in(page: Page) -> None:
    page.ask("POST", "/segments/2/merge", {"version": 0, "previous_version": 0})
    first = page.ask("GET", "?limit=1")
    second = page.ask("GET", f"?from={first['next']}&limit=1")
    third = page.ask("GET", f"?from={second['next']}&limit=1")
    assert [[segment["id"] for segment in part["segments"]] for part in (first, second, third)] == [["0"], ["1"], []]
    assert second["segments"][0]["asr_text"] == "how are you fine thanks"
    assert third["next"] is None


def test_corrections_made_before_there_were_reviews_count(page: Page, session: TranscriptionSession) -> None:
    session.segments.filter(index=0).update(text="recognise speech")
    assert page.texts()[0] == ("0", "recognise speech")
    page.edit("0", text="recognise speech!")
    page.ask("POST", "/history/1/undo")
    assert page.texts()[0] == ("0", "recognise speech")


# Changing


def test_a_word_corrected_is_searchable_exported_and_in_the_history_and_the_machines_is_still_there(
    page: Page, session: TranscriptionSession
) -> None:
    before = machine_rows(session)
    answer = page.edit("0", text="wreck a fine beach")
    assert answer["version"] == 1
    assert [(word["word"], word["is_heard"]) for word in answer["segments"][0]["words"]] == [
        ("wreck", True), ("a", True), ("fine", False), ("beach", True),
    ]  # fmt: skip
    everything = TranscriptionSession.objects.all()
    assert list(search_sessions(everything, "fine beach", limit=5)) == [session]
    assert list(search_sessions(everything, "nice beach", limit=5)) == []
    assert "fine beach" in "".join(write_transcript(session, "txt"))
    assert "nice beach" in "".join(write_transcript(session, "txt", ExportOptions(text="machine")))
    (entry,) = page.ask("GET", "/history")["entries"]
    assert (entry["by"], entry["kind"], entry["segment_count"]) == ("Zoe Hall", "edit", 1)
    assert entry["segments"][0]["diff"] == [
        {"kind": "same", "text": "wreck a "}, {"kind": "removed", "text": "nice "},
        {"kind": "added", "text": "fine "}, {"kind": "same", "text": "beach"},
    ]  # fmt: skip
    assert machine_rows(session) == before
    versions = TranscriptSegment.history.filter(session_id=session.pk).order_by("history_id")
    assert [version.text for version in versions] == ["wreck a nice beach", "wreck a fine beach"]
    assert [version.history_user and version.history_user.first_name for version in versions] == [None, "Zoe"]


def test_an_edit_of_an_older_version_is_answered_with_both_texts(page: Page) -> None:
    page.edit("0", text="one")
    conflict = page.edit("0", text="two", status=409)
    assert (conflict["reason"], conflict["yours"], conflict["version"]) == ("edit_conflict", "two", 1)
    assert (conflict["current"]["text"], conflict["current"]["version"]) == ("one", 1)
    assert conflict["changed_by"] == "Zoe Hall"
    assert conflict["changed_at"] == page.ask("GET", "/history")["entries"][0]["at"]
    page.edit("0", 1, text="two")
    assert page.texts()[0] == ("0", "two")


def test_an_edit_of_a_segment_that_was_joined_is_answered_with_the_one_that_has_its_place(page: Page) -> None:
    page.ask("POST", "/segments/1/merge", {"version": 0, "previous_version": 0})
    conflict = page.edit("1", text="how are we", status=409)
    assert (conflict["current"]["id"], conflict["current"]["text"]) == ("0", "wreck a nice beach how are you")


def test_segments_are_split_and_joined_and_searched_as_they_stand(page: Page, session: TranscriptionSession) -> None:
    before = machine_rows(session)
    answer = page.ask("POST", "/segments/0/split", {"version": 0, "before": "wreck a", "after": "nice beach"})
    assert [segment["id"] for segment in answer["segments"]] == ["0", "0.1"]
    assert answer["segments"][0]["end_ms"] == answer["segments"][1]["start_ms"]
    answer = page.ask(
        "POST", "/segments/1/merge", {"version": 0, "previous_version": 1, "text": "nice beach, how are you"}
    )
    assert (answer["segments"][0]["id"], answer["removed"]) == ("0.1", ["1"])
    assert page.texts() == [("0", "wreck a"), ("0.1", "nice beach, how are you"), ("2", "fine thanks")]
    found = search_segments(TranscriptSegment.objects.all(), "how", limit=5)
    assert [segment.index for segment in found] == [0]
    assert machine_rows(session) == before
    content = json.loads("".join(write_transcript(session, "json")))
    assert [(item["segment"], item["text"]) for item in content["segments"]] == [
        (0, "wreck a"), (0, "nice beach, how are you"), (2, "fine thanks"),
    ]  # fmt: skip
    machine = json.loads("".join(write_transcript(session, "json", ExportOptions(text="machine"))))
    assert [item["text"] for item in machine["segments"]] == ["wreck a nice beach", "how are you", "fine thanks"]
    assert machine["coverage"] == content["coverage"]
    cues = "".join(write_transcript(session, "vtt"))
    assert "\n0-0\n" in cues
    assert "\n0.1-0\n" in cues


def test_speakers_are_named_here_or_everywhere(page: Page, session: TranscriptionSession) -> None:
    session.segments.update(speaker="speaker 0")
    page.edit("2", speaker="Ben")
    answer = page.ask("POST", "/speakers", {"version": 1, "speaker": "speaker 0", "name": "Anna"})
    assert [(segment["id"], segment["speaker"]) for segment in answer["segments"]] == [("0", "Anna"), ("1", "Anna")]
    assert list(session.segments.order_by("index").values_list("speaker", flat=True)) == ["Anna", "Anna", "Ben"]
    assert [entry["kind"] for entry in page.ask("GET", "/history")["entries"]] == ["speaker", "speaker"]


def test_a_replacement_is_one_entry_and_is_undone_as_one(page: Page) -> None:
    found = page.ask("GET", "/find?find=A")
    assert (found["count"], found["segments"][1]) == (4, {"segment_id": "1", "version": 0, "places": [[4, 5]]})
    assert page.ask("GET", "/find?find=A&match_case=true")["count"] == 0
    answer = page.ask("POST", "/replace", {"version": 0, "find": "a", "replace": "o"})
    assert len(answer["segments"]) == 3
    assert page.texts()[0] == ("0", "wreck o nice beoch")
    (entry,) = page.ask("GET", "/history")["entries"]
    assert entry["details"] == {"find": "a", "by": "o", "match_case": False, "count": 4}
    page.ask("POST", "/history/1/undo")
    assert page.texts()[0] == ("0", "wreck a nice beach")
    page.ask("POST", "/replace", {"version": 0, "find": "a", "replace": "o"}, status=409)


def test_what_changes_nothing_is_no_entry(page: Page) -> None:
    assert page.edit("0", text="wreck a nice beach")["version"] == 0
    assert page.ask("POST", "/replace", {"version": 0, "find": "zebra", "replace": "o"})["version"] == 0
    assert page.ask("POST", "/reopen")["version"] == 0
    assert page.ask("GET", "/history") == {"version": 0, "entries": [], "next": None}


def test_the_transcript_is_restored_to_any_point(page: Page, session: TranscriptionSession) -> None:
    page.edit("0", text="one two")
    page.ask("POST", "/segments/0/split", {"version": 1, "before": "one", "after": "two"})
    page.ask("POST", "/segments/1/merge", {"version": 0, "previous_version": 2})
    page.edit("2", text="thanks")
    page.ask("POST", "/history/2/restore", {"version": 3}, status=409)
    answer = page.ask("POST", "/history/2/restore", {"version": 4})
    assert page.texts() == [("0", "one"), ("0.1", "two"), ("1", "how are you"), ("2", "fine thanks")]
    assert sorted(segment["id"] for segment in answer["segments"]) == ["0.1", "1", "2"]
    page.ask("POST", "/history/0/restore", {"version": 5})
    assert [text for _id, text in page.texts()] == ["wreck a nice beach", "how are you", "fine thanks"]
    assert [segment.text for segment in session.segments.order_by("index")] == [text for _id, text in page.texts()]
    page.ask("POST", "/history/9/restore", {"version": 6}, status=404)
    page.ask("POST", "/history/4/restore", {"version": 6})
    assert page.texts() == [("0", "one"), ("0.1", "two how are you"), ("2", "thanks")]


def test_what_is_marked_reviewed_takes_no_changes_until_it_is_reopened(page: Page) -> None:
    page.edit("0", text="one")
    page.ask("POST", "/mark-reviewed", {"version": 0}, status=409)
    page.ask("POST", "/mark-reviewed", {"version": 1})
    answer = page.read()
    assert (answer["reviewed_by"], answer["why_read_only"]) == ("Zoe Hall", "reviewed")
    for method, path, body in [
        ("PATCH", "/segments/0", {"version": 1, "text": "x"}),
        ("POST", "/replace", {"version": 2, "find": "o", "replace": "a"}),
        ("POST", "/history/1/undo", None),
        ("POST", "/history/0/restore", {"version": 2}),
        ("PUT", "/locks/0", None),
    ]:
        assert page.ask(method, path, body, status=409)["reason"] == "reviewed"
    page.ask("POST", "/reopen")
    page.edit("0", 1, text="two")
    assert [entry["kind"] for entry in page.ask("GET", "/history")["entries"]] == [
        "edit",
        "reopened",
        "reviewed",
        "edit",
    ]


def test_a_segment_that_is_edited_is_not_reviewed_any_more(page: Page, session: TranscriptionSession) -> None:
    page.edit("0", reviewed=True)
    assert session.segments.get(index=0).reviewed
    assert page.edit("0", 1, text="x")["segments"][0]["reviewed"] is False
    assert page.edit("0", 2, text="y", reviewed=True)["segments"][0]["reviewed"] is True


@pytest.mark.parametrize("state", ["created", "live", "detached"])
def test_a_session_that_goes_on_cannot_be_edited(page: Page, session: TranscriptionSession, state: str) -> None:
    TranscriptionSession.objects.filter(pk=session.pk).update(state=state)
    assert page.read()["why_read_only"] == "not_ended"
    assert page.edit("0", text="x", status=409)["reason"] == "not_ended"


def test_news_tell_what_changed_since(page: Page) -> None:
    page.edit("0", text="one two")
    page.ask("POST", "/segments/0/split", {"version": 1, "before": "one", "after": "two"})
    page.ask("POST", "/segments/2/merge", {"version": 0, "previous_version": 0})
    news = page.ask("GET", "/news?since=1")
    assert (news["version"], news["is_all"], news["removed"]) == (3, True, ["2"])
    assert [segment["id"] for segment in news["segments"]] == ["0", "0.1", "1"]
    assert page.ask("GET", "/news?since=3")["segments"] == []
    for number in range(51):
        page.edit("1", 3 + number, text=f"text {number}")
    assert page.ask("GET", "/news?since=3")["is_all"] is False


def test_figures_and_doubtful_words(page: Page, session: TranscriptionSession) -> None:
    words = [{"word": "fine", "start_ms": 4000, "end_ms": 4500, "confidence": 0.5}]
    session.segments.filter(index=2).update(words=words)
    page.edit("0", text="recognise speech")
    figures = page.ask("GET", "/figures")
    assert (figures["word_errors"], figures["words"], figures["changes"]) == (4, 7, 1)
    assert figures["speakers"] == [{"name": None, "segments": 3, "talk_ms": 6000}]
    doubtful = page.ask("GET", "/doubtful")
    assert doubtful["count"] == 1
    assert (doubtful["words"][0]["segment_id"], doubtful["words"][0]["word"]) == ("2", "fine")
    assert page.ask("GET", "/doubtful?below=0.4") == {"count": 0, "words": []}


# Refusals


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/segments/0", {"version": 0, "text": "x" * 10_001}, "text"),
        ("PATCH", "/segments/0", {"version": 0, "text": "a\0b"}, None),
        ("PATCH", "/segments/0", {"version": 0, "speaker": "x" * 65}, "speaker"),
        ("PATCH", "/segments/0", {"text": "x"}, "version"),
        ("PATCH", "/segments/0", {"version": -1}, "version"),
        ("PATCH", "/segments/0", {"version": "0"}, "version"),
        ("PATCH", "/segments/0", {"version": 0, "words": []}, "words"),
        ("PATCH", "/segments/x", {"version": 0}, "segment_id"),
        ("POST", "/segments/0/split", {"version": 0, "before": "", "after": "x"}, "before"),
        ("POST", "/segments/0/split", {"version": 0, "before": "x", "after": " \n"}, "after"),
        ("POST", "/replace", {"version": 0, "find": "", "replace": "x"}, "find"),
        ("GET", "?limit=0", None, "limit"),
        ("GET", "?from=-1", None, "from"),
        ("GET", "/news", None, "since"),
        ("GET", "/doubtful?below=2", None, "below"),
    ],
)
def test_what_is_wrong_is_refused_and_named(page: Page, method: str, path: str, body: Any, field: str | None) -> None:
    answer = page.ask(method, path, body, status=422)
    assert answer["field"] == field
    assert not ReviewChange.objects.exists()


def test_texts_do_not_grow_beyond_their_limit(page: Page) -> None:
    page.edit("0", text="a" * 9999)
    page.edit("1", text="b" * 9999)
    page.ask("POST", "/segments/1/merge", {"version": 2, "previous_version": 1}, status=409)
    page.ask("POST", "/replace", {"version": 2, "find": "a", "replace": "aa"}, status=409)
    assert page.read()["version"] == 2


def test_the_first_segment_has_none_to_be_joined_to(page: Page) -> None:
    answer = page.ask("POST", "/segments/0/merge", {"version": 0, "previous_version": 0}, status=409)
    assert answer["reason"] == "nothing_before"


def test_there_is_no_segment_and_no_entry_of_that_name(page: Page) -> None:
    page.edit("7", text="x", status=404)
    page.ask("PUT", "/locks/7", status=404)
    page.ask("GET", "/history/1", status=404)
    page.ask("POST", "/history/1/undo", status=404)
    assert page.edit("0.4", text="x", status=409)["current"]["id"] == "0"


def test_who_may_do_what(session: TranscriptionSession) -> None:
    owner = make_user()
    TranscriptionSession.objects.filter(pk=session.pk).update(owner=owner)
    own = Client()
    own.force_login(owner)
    Page(own, session).edit("0", text="mine")
    reader = Page(login("view_captions"), session)
    assert reader.read()["why_read_only"] == "not_allowed"
    reader.edit("0", 1, text="x", status=403)
    Page(login("view_transcriptionsession", "change_transcriptsegment"), session).ask("GET", "", status=403)
    Page(login("change_transcriptsegment"), session).ask("GET", "", status=404)
    _key, text = ApiKey.create("reads", owner=owner, scopes=["sessions:read"])
    key = Page(Client(headers={"Authorization": f"Bearer {text}"}), session)
    key.read()
    assert key.edit("0", 1, text="x", status=403)["reason"] == "scope_missing"
    _key, text = ApiKey.create("writes", owner=owner)
    Page(Client(headers={"Authorization": f"Bearer {text}"}), session).edit("0", 1, text="by key")
    assert ReviewChange.objects.get(number=2).by == "writes"


def test_a_login_needs_its_csrf_token(session: TranscriptionSession) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("view_captions", "change_transcriptsegment"))
    assert Page(client, session).edit("0", text="x", status=403)["reason"] == "csrf"


# Who edits what


def test_others_are_told_who_edits_and_are_held_off(page: Page, session: TranscriptionSession) -> None:
    other = Page(login("view_captions", "change_transcriptsegment"), session)
    lock = page.ask("PUT", "/locks/0")
    assert (lock["by"], lock["is_yours"]) == ("Zoe Hall", True)
    assert [(lock["segment_id"], lock["by"], lock["is_yours"]) for lock in other.read()["locks"]] == [
        ("0", "Zoe Hall", False)
    ]
    refused = other.edit("0", text="x", status=409)
    assert (refused["reason"], refused["message"]) == ("segment_locked", "Zoe Hall is editing this segment.")
    assert other.ask("PUT", "/locks/0", status=409)["reason"] == "segment_locked"
    assert (
        other.ask("POST", "/replace", {"version": 0, "find": "a", "replace": "o"}, status=409)["reason"]
        == "segment_locked"
    )
    other.edit("1", text="elsewhere")
    page.edit("0", text="mine")
    page.ask("DELETE", "/locks/0", status=204)
    other.edit("0", 2, text="now")


def test_a_segment_can_be_taken_from_who_holds_it(page: Page, session: TranscriptionSession) -> None:
    other = Page(login("view_captions", "change_transcriptsegment"), session)
    page.ask("PUT", "/locks/0")
    other.ask("PUT", "/locks/0", {"take": True})
    page.edit("0", text="x", status=409)
    page.ask("DELETE", "/locks/0", status=204)
    assert page.edit("0", text="x", status=409)["reason"] == "segment_locked"


# The rest


def test_a_session_is_deleted_with_everything_that_was_written_in_its_review(
    page: Page, session: TranscriptionSession
) -> None:
    page.edit("0", text="secret")
    page.ask("PUT", "/locks/0")
    services.delete_session(session)
    assert not ReviewChange.objects.exists()
    assert not ReviewPassage.objects.exists()
    assert not TranscriptSegment.history.exists()
    page.edit("0", 1, text="more", status=404)


def test_a_long_session_costs_no_more_queries_to_edit(page: Page, session: TranscriptionSession) -> None:
    def queries(method: str, path: str, body: Any = None) -> int:
        with CaptureQueriesContext(connection) as captured:
            page.ask(method, path, body)
        return len(captured)

    page.edit("0", text="warm up")
    # The first look at it stands in the audit log.
    page.ask("GET", "?limit=200")
    short = queries("PATCH", "/segments/0", {"version": 1, "text": "one"}), queries("GET", "?limit=200")
    add_segments(session, *["some more words"] * 500)
    long = queries("PATCH", "/segments/0", {"version": 2, "text": "two"}), queries("GET", "?limit=200")
    assert long == short
    assert queries("POST", "/speakers", {"version": 3, "speaker": "", "name": "Anna"}) < 100
    assert queries("POST", "/replace", {"version": 4, "find": "more", "replace": "less"}) < 100
    assert session.segments.filter(text="some less words", speaker="Anna").count() == 500


@pytest.mark.django_db(transaction=True)
def test_of_several_who_edit_the_same_version_at_once_one_wins(session: TranscriptionSession) -> None:
    racers = 4
    pages = [Page(login("view_captions", "change_transcriptsegment"), session) for _racer in range(racers)]
    together = threading.Barrier(racers, timeout=60)

    def race(number: int) -> int:
        try:
            together.wait()
            body = json.dumps({"version": 0, "text": f"text {number}"})
            address = f"{pages[number].path}/segments/0"
            return pages[number].client.patch(address, body, content_type="application/json").status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(racers) as threads:
        statuses = list(threads.map(race, range(racers)))
    assert sorted(statuses) == [200, 409, 409, 409]
    winner = statuses.index(200)
    assert pages[0].texts()[0] == ("0", f"text {winner}")
    assert [change.number for change in ReviewChange.objects.all()] == [1]
