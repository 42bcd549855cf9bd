"""The audio of a session over HTTP: whole, in parts, to whom it is allowed, and why there is none."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.files.base import ContentFile
from django.test import Client

from transcription.models import TranscriptionSession
from transcription.recording import store
from transcription.recording.listening_in import Places
from transcription.recording.models import SessionRecording
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

AUDIO = bytes(range(256)) * 4
TAG = f'"{"ab" * 16}"'


@pytest.fixture(autouse=True)
def storage(settings: Any) -> None:
    settings.STORAGES = {
        **settings.STORAGES,
        "recordings": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
    }


@pytest.fixture
def owner() -> User:
    return make_user()


@pytest.fixture
def session(owner: User) -> TranscriptionSession:
    session = make_session("one", owner=owner, public_id="heard")
    store.begin(session)
    SessionRecording.objects.update(
        state="complete", format="wav", name=store.recordings().save("heard.wav", ContentFile(AUDIO)),
        size_bytes=len(AUDIO), sha256="ab" * 32, duration_ms=100, peaks=bytes([0, 128, 255]), peak_ms=50,
        missing=[[10, 20]],
    )  # fmt: skip
    return session


def client_of(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client


def get(user: User, path: str = "heard/audio", **headers: str) -> Any:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return client_of(user).get(f"/api/v1/sessions/{path}", headers=named)


def content(answer: Any) -> bytes:
    return b"".join(answer.streaming_content) if answer.streaming else answer.content


@pytest.mark.usefixtures("session")
def test_the_whole_file_is_streamed_with_what_players_want_to_know(owner: User) -> None:
    answer = get(owner)

    assert (answer.status_code, content(answer)) == (200, AUDIO)
    assert answer["Content-Type"] == "audio/wav"
    assert (answer["Content-Length"], answer["Accept-Ranges"], answer["ETag"]) == (str(len(AUDIO)), "bytes", TAG)
    assert answer["Content-Disposition"] == 'inline; filename="heard.wav"'
    assert answer["Cache-Control"] == "private, no-cache"


@pytest.mark.usefixtures("session")
def test_a_download_is_named_after_its_session(owner: User) -> None:
    assert get(owner, "heard/audio?download=true")["Content-Disposition"] == 'attachment; filename="heard.wav"'


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [("bytes=0-9", 0, 10), ("bytes=1000-", 1000, 1024), ("bytes=-4", 1020, 1024), ("bytes=1020-9999", 1020, 1024)],
)
def test_a_part_is_given_where_one_is_asked_for(owner: User, asked: str, start: int, end: int) -> None:
    answer = get(owner, range=asked)

    assert (answer.status_code, content(answer)) == (206, AUDIO[start:end])
    assert answer["Content-Range"] == f"bytes {start}-{end - 1}/1024"
    assert answer["Content-Length"] == str(end - start)


@pytest.mark.usefixtures("session")
def test_a_part_behind_the_end_is_refused_with_the_size(owner: User) -> None:
    answer = get(owner, range="bytes=1024-")

    assert (answer.status_code, answer["Content-Range"]) == (416, "bytes */1024")


@pytest.mark.usefixtures("session")
def test_a_part_of_another_file_gives_the_whole(owner: User) -> None:
    assert get(owner, range="bytes=0-1", if_range=TAG).status_code == 206
    assert get(owner, range="bytes=0-1", if_range='"other"').status_code == 200


@pytest.mark.usefixtures("session")
def test_who_has_the_file_gets_it_not_again(owner: User) -> None:
    answer = get(owner, if_none_match=TAG)

    assert (answer.status_code, content(answer), answer["ETag"]) == (304, b"", TAG)


@pytest.mark.usefixtures("session")
def test_head_says_the_same_without_the_audio(owner: User) -> None:
    answer = client_of(owner).head("/api/v1/sessions/heard/audio", headers={"Range": "bytes=0-9"})

    assert (answer.status_code, content(answer)) == (206, b"")
    assert answer["Content-Range"] == "bytes 0-9/1024"


@pytest.mark.usefixtures("session")
def test_peaks_are_shares_of_full_scale(owner: User) -> None:
    assert get(owner, "heard/peaks").json() == {
        "session_id": "heard",
        "duration_ms": 100,
        "step_ms": 50,
        "peaks": [0.0, 0.5, 1.0],
        "missing": [[10, 20]],
        "is_partial": False,
    }


@pytest.mark.usefixtures("session")
@pytest.mark.parametrize(
    ("permissions", "status"),
    [
        ((), 404),
        (("view_transcriptionsession",), 403),
        (("view_captions",), 403),
        (("view_captions", "export_transcriptionsession"), 403),
        (("listen_transcriptionsession",), 404),
        (("view_captions", "listen_transcriptionsession"), 200),
    ],
)
@pytest.mark.parametrize("path", ["heard/audio", "heard/peaks"])
def test_others_hear_it_who_may_read_and_listen(permissions: tuple[str, ...], status: int, path: str) -> None:
    assert get(make_user(*permissions), path).status_code == status


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"state": "recording"}, "audio_not_ready"),
        ({"state": "deleted", "reason": "retention"}, "audio_deleted"),
        ({"state": "failed", "reason": "empty"}, "no_audio"),
        ({"name": "gone.wav"}, "audio_lost"),
    ],
)
@pytest.mark.usefixtures("session")
def test_why_there_is_no_audio_is_said_in_a_word(owner: User, changes: dict[str, str], reason: str) -> None:
    SessionRecording.objects.update(**changes)

    answer = get(owner)

    assert (answer.status_code, answer.json()["reason"]) == (404, reason)


def test_a_session_whose_audio_was_not_kept_has_none(owner: User) -> None:
    make_session("one", owner=owner, public_id="unkept")

    for path in ("unkept/audio", "unkept/peaks", "unkept/audio?live=true"):
        assert get(owner, path).json()["reason"] == "no_audio"


@pytest.mark.usefixtures("session")
def test_nobody_listens_in_once_a_session_has_ended(owner: User) -> None:
    assert get(owner, "heard/audio?live=true").json()["reason"] == "not_live"


def test_so_many_listen_at_a_time_and_a_place_is_given_back_once() -> None:
    places = Places()
    first = places.take(1)
    with pytest.raises(Exception, match="Too many people"):
        places.take(1)
    first.release()
    first.release()
    places.take(1)
    with pytest.raises(Exception, match="Too many people"):
        places.take(1)
