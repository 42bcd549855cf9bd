"""Files over HTTP to a whole server: OpenAI's own client, other people's requests, jobs, and what clients do wrong."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx2
import openai
import pytest
from openai import OpenAI

from speechsite.tests.served import manage, wait_for
from transcription.fake_riva.audio import spoken, word_numbers, word_texts
from transcription.fake_riva.script import Script
from transcription.tests.audio_files import encoded, tone
from transcription.tests.servers import Server, running_server

pytestmark = pytest.mark.timeout(240)

WORDS = 12
TEXT = " ".join(word_texts(WORDS))
SPEECH = encoded(spoken(WORDS), "flac")
MAX_UPLOAD_BYTES = 4 * 1024 * 1024
TIMEOUT_S = 60.0
WORKER = "speechsite.server"
ENDED = ("completed", "failed", "cancelled")


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Any]) -> Iterator[Server]:
    settings = {
        "MAX_UPLOAD_BYTES": str(MAX_UPLOAD_BYTES),
        "MAX_FILE_REQUEST_AUDIO_MINUTES": "2",
        "MAX_FILE_AUDIO_MINUTES": "10",
        "MIN_FREE_DISK_BYTES": "0",
        "ALLOWED_ORIGINS": "https://app.example.org",
    }
    with running_server(new_data_dir(), **settings) as running:
        yield running
        # A stored file goes with its job, another one with its request.
        assert [path.name for path in (running.served.data_dir / "uploads").iterdir()] == ["id"]


@pytest.fixture(scope="module")
def key(server: Server) -> str:
    made = manage("create_api_key", "uploads", "--quiet", data_dir=server.served.data_dir, DATABASE_URL="sqlite://")
    return made.stdout.strip()


@pytest.fixture(scope="module")
def client(server: Server, key: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.served.url}/v1", api_key=key, max_retries=0, timeout=TIMEOUT_S) as client:
        yield client


@pytest.fixture(scope="module")
def http(server: Server, key: str) -> Iterator[httpx2.Client]:
    headers = {"Authorization": f"Bearer {key}"}
    with httpx2.Client(base_url=server.served.url, headers=headers, timeout=TIMEOUT_S) as http:
        yield http


@pytest.fixture
def normal_speed(server: Server) -> Iterator[Server]:
    """A recogniser that the test may slow down."""
    yield server
    server.riva.default = Script(settles=True)


def last_session(server: Server) -> dict[str, Any]:
    rows = server.rows("SELECT * FROM transcription_transcriptionsession ORDER BY id DESC LIMIT 1")
    return rows[0]


# OpenAI's client


def test_openais_client_gets_the_words_and_the_session_is_stored(client: OpenAI, server: Server) -> None:
    answer = client.audio.transcriptions.create(file=("talk.flac", SPEECH), model="whisper-1", language="en")

    assert answer.text == TEXT
    session = last_session(server)
    assert (session["state"], session["dialect"], session["title"]) == ("completed", "upload", "talk.flac")
    assert (session["language"], session["committed_bytes"]) == ("en-US", session["audio_bytes"])
    assert [segment["text"] for segment in server.segments(session["public_id"])] == _utterances()


def _utterances() -> list[str]:
    words = word_texts(WORDS)
    return [" ".join(words[start : start + 5]) for start in range(0, WORDS, 5)]


def test_openais_client_gets_plain_text(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(file=("a.flac", SPEECH), model="whisper-1", response_format="text")

    assert answer == TEXT + "\n"


def test_openais_client_gets_subtitles(client: OpenAI) -> None:
    create = client.audio.transcriptions.create
    srt = create(file=("a.flac", SPEECH), model="whisper-1", response_format="srt")
    vtt = create(file=("a.flac", SPEECH), model="whisper-1", response_format="vtt")

    assert srt.startswith("1\n00:00:00,200 --> ")
    assert vtt.startswith("WEBVTT\n\n")
    assert word_numbers(srt) == word_numbers(vtt) == list(range(1, WORDS + 1))


def test_openais_client_gets_segments_and_words_with_times(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        file=("a.flac", SPEECH),
        model="gpt-4o-transcribe",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )

    assert (answer.text, answer.language) == (TEXT, "english")
    assert answer.duration == pytest.approx(len(spoken(WORDS)) / 32000)
    assert answer.segments is not None
    assert [segment.text for segment in answer.segments] == _utterances()
    assert [segment.id for segment in answer.segments] == [0, 1, 2]
    assert answer.words is not None
    assert [word.word for word in answer.words] == word_texts(WORDS)
    assert (answer.words[0].start, answer.words[0].end) == pytest.approx((0.2, 0.5))


def test_openais_client_gets_words_alone_if_it_asks_for_them(client: OpenAI) -> None:
    answer = client.audio.transcriptions.create(
        file=("a.flac", SPEECH), model="whisper-1", response_format="verbose_json", timestamp_granularities=["word"]
    )

    assert answer.segments is None
    assert answer.words


def test_openais_client_streams_the_text_as_it_comes(client: OpenAI) -> None:
    with client.audio.transcriptions.create(
        file=("a.flac", SPEECH), model="gpt-4o-transcribe", stream=True, include=["logprobs"]
    ) as stream:
        events = list(stream)

    deltas = [event for event in events if event.type == "transcript.text.delta"]
    assert [event.delta for event in deltas] == [_utterances()[0], *(f" {text}" for text in _utterances()[1:])]
    assert deltas[0].logprobs
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == TEXT


async def test_openais_asynchronous_client_works_too(server: Server, key: str) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.served.url}/v1", api_key=key, max_retries=0) as client:
        answers = await asyncio.gather(
            *(client.audio.transcriptions.create(file=("a.flac", SPEECH), model="whisper-1") for _ in range(3))
        )

    assert [answer.text for answer in answers] == [TEXT] * 3


@pytest.mark.parametrize(
    ("file", "status", "code"),
    [
        (b"PK\x03\x04" + bytes(200), 415, "not_audio"),
        (b"", 415, "not_audio"),
        (encoded(b"", "mp4", streams=0, video=True), 415, "no_audio"),
        (encoded(tone(50), "mkv", streams=100), 415, "too_many_streams"),
        (bytes(MAX_UPLOAD_BYTES + 5 * 1024 * 1024), 413, "file_too_large"),
    ],
    ids=["archive", "empty", "video alone", "100 streams", "too large"],
)
def test_openais_client_is_told_what_is_wrong_with_a_file(client: OpenAI, file: bytes, status: int, code: str) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.audio.transcriptions.create(file=("a.wav", file), model="whisper-1")

    assert (caught.value.status_code, caught.value.code, caught.value.param) == (status, code, "file")
    assert caught.value.type == "invalid_request_error"


def test_openais_client_is_told_where_longer_files_go(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError, match="POST /api/v1/jobs") as caught:
        client.audio.transcriptions.create(file=("a.flac", encoded(bytes(32000 * 121), "flac")), model="whisper-1")

    assert (caught.value.status_code, caught.value.code) == (413, "audio_too_long")


def test_openais_client_is_told_which_field_is_wrong(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.transcriptions.create(file=("a.flac", SPEECH), model="whisper-1", temperature=7)

    assert caught.value.param == "temperature"


def test_openais_client_with_a_wrong_key_is_not_let_in(server: Server) -> None:
    with (
        OpenAI(base_url=f"{server.served.url}/v1", api_key="spk_12345678_wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as caught,
    ):
        stranger.audio.transcriptions.create(file=("a.flac", SPEECH), model="whisper-1")

    assert caught.value.code == "invalid_api_key"


def test_a_recogniser_that_fails_in_the_middle_is_told(client: OpenAI, normal_speed: Server) -> None:
    normal_speed.riva.default = Script(abort=(grpc.StatusCode.INVALID_ARGUMENT, "no"), abort_after_ms=3000)
    with pytest.raises(openai.APIStatusError) as caught:
        client.audio.transcriptions.create(file=("a.flac", SPEECH), model="whisper-1")

    assert caught.value.status_code in (400, 502)


# Requests by hand


def post(http: httpx2.Client, file: bytes = SPEECH, name: str = "a.flac", **data: str) -> httpx2.Response:
    return http.post("/v1/audio/transcriptions", files={"file": (name, file)}, data=data)


def test_a_file_name_full_of_tricks_is_only_text(http: httpx2.Client, server: Server) -> None:
    """Row 73 of the matrix: nothing that a client says becomes a path."""
    outside = sorted(path.name for path in server.served.data_dir.iterdir())
    for name in ("../../../../tmp/evil.flac", "..\\..\\evil.flac", "/etc/passwd", "\u202ecalf.exe", "a" * 300):
        assert post(http, name=name).status_code == 200
        assert "/" not in last_session(server)["title"]
    assert sorted(path.name for path in server.served.data_dir.iterdir()) == outside


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b"{}", 400),
        ("multipart/form-data", b"x", 400),
        ("multipart/form-data; boundary=b", b"--b\r\nrubbish", 400),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n',
            400,
        ),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="other"; filename="a"\r\n\r\nx\r\n--b--\r\n',
            400,
        ),
    ],
)
def test_a_form_that_is_none_is_refused(http: httpx2.Client, content_type: str, body: bytes, status: int) -> None:
    answer = http.post("/v1/audio/transcriptions", content=body, headers={"Content-Type": content_type})

    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"


def test_a_body_of_unknown_length_is_taken(http: httpx2.Client) -> None:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'

    def pieces() -> Iterator[bytes]:
        yield head
        yield SPEECH
        yield b"\r\n--b--\r\n"

    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = http.post("/v1/audio/transcriptions", content=pieces(), headers=headers)

    assert answer.json()["text"] == TEXT


def test_a_page_of_an_allowed_origin_may_read_the_answer(http: httpx2.Client) -> None:
    origin = "https://app.example.org"
    asked = http.options(
        "/v1/audio/transcriptions",
        headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
    )
    answer = http.post("/v1/audio/transcriptions", files={"file": ("a.flac", SPEECH)}, headers={"Origin": origin})
    foreign = http.post(
        "/v1/audio/transcriptions", files={"file": ("a.flac", SPEECH)}, headers={"Origin": "https://evil.example"}
    )

    assert asked.headers["access-control-allow-origin"] == origin
    assert answer.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in foreign.headers


def test_a_page_of_another_site_gets_nothing_by_being_on_this_machine(server: Server) -> None:
    answer = httpx2.post(
        f"{server.served.url}/v1/audio/transcriptions",
        files={"file": ("a.flac", SPEECH)},
        headers={"Origin": "https://evil.example"},
    )

    assert answer.status_code == 403


def test_another_method_is_refused(http: httpx2.Client) -> None:
    assert http.get("/v1/audio/transcriptions").status_code in (404, 405)


def test_a_client_that_leaves_while_its_file_is_heard_ends_the_work(normal_speed: Server, key: str) -> None:
    normal_speed.riva.default = Script(settles=True, speed=1.0)
    before = last_session(normal_speed)["id"]
    with raw_post(normal_speed, key, "/v1/audio/transcriptions", SPEECH) as connection:
        wait_for(lambda: normal_speed.riva.open_streams == 1, "the file is heard")
        assert last_session(normal_speed)["id"] > before
        del connection

    wait_for(lambda: normal_speed.riva.open_streams == 0, "the recogniser is free")
    row = normal_speed.ended(last_session(normal_speed)["public_id"])
    assert (row["state"], row["end_reason"]) == ("interrupted", "client_lost")


def test_a_client_that_leaves_in_the_middle_of_its_file_leaves_nothing(server: Server, key: str) -> None:
    before = last_session(server)["id"]
    with raw_post(server, key, "/api/v1/jobs", SPEECH, send_bytes=len(SPEECH) // 2):
        wait_for(lambda: len(stored_files(server)) == 1, "the file is coming in")

    wait_for(lambda: stored_files(server) == [], "nothing is left of it")
    assert last_session(server)["id"] == before


def raw_post(server: Server, key: str, path: str, file: bytes, *, send_bytes: int | None = None) -> socket.socket:
    """A request whose answer is never read; only so many bytes of the file are sent."""
    host, port = server.served.url.removeprefix("http://").split(":")
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.flac"\r\n\r\n'
    tail = b"\r\n--b--\r\n"
    connection = socket.create_connection((host, int(port)))
    connection.sendall(
        f"POST {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(head + file + tail)}\r\n\r\n".encode()
    )
    connection.sendall(head + (file + tail if send_bytes is None else file[:send_bytes]))
    return connection


def stored_files(server: Server) -> list[str]:
    folder = server.served.data_dir / "uploads"
    return [path.name for path in folder.iterdir() if path.name != "id"] if folder.exists() else []


# Jobs


def make_job(http: httpx2.Client, file: bytes = SPEECH, **data: str) -> dict[str, Any]:
    answer = http.post("/api/v1/jobs", files={"file": ("long talk.flac", file)}, data=data)
    assert answer.status_code == 202, answer.text
    job: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/jobs/{job['job_id']}"
    return job


def read_job(http: httpx2.Client, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = http.get(f"/api/v1/jobs/{job['job_id']}").json()
    return found


def ended_job(http: httpx2.Client, job: dict[str, Any]) -> dict[str, Any]:
    wait_for(lambda: read_job(http, job)["state"] in ENDED, "the job has ended")
    return read_job(http, job)


def transcript(http: httpx2.Client, session_id: str) -> str:
    return http.get(f"/api/v1/sessions/{session_id}/transcript?format=txt").text


def test_a_job_is_done_while_nobody_waits(http: httpx2.Client, server: Server) -> None:
    job = make_job(http, title="The long talk", language="en", config=json.dumps({"metadata": {"case": "7"}}))
    assert (job["state"], job["progress"], job["session_id"], job["file_name"]) == (
        "queued",
        0.0,
        None,
        "long talk.flac",
    )
    assert job["audio_ms"] == len(spoken(WORDS)) // 32

    done = ended_job(http, job)

    assert (done["state"], done["progress"], done["error"]) == ("completed", 1.0, None)
    assert transcript(http, done["session_id"]).split() == word_texts(WORDS)
    session = http.get(f"/api/v1/sessions/{done['session_id']}").json()
    assert (session["title"], session["metadata"], session["state"]) == ("The long talk", {"case": "7"}, "completed")
    assert done["job_id"] in [one["job_id"] for one in http.get("/api/v1/jobs?state=completed").json()["jobs"]]
    assert stored_files(server) == []


def test_the_same_request_with_the_same_key_makes_one_job(http: httpx2.Client) -> None:
    headers = {"Idempotency-Key": "talk-1"}
    files = {"file": ("a.flac", SPEECH)}
    first = http.post("/api/v1/jobs", files=files, headers=headers)
    second = http.post("/api/v1/jobs", files=files, headers=headers)

    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json()["job_id"] == second.json()["job_id"]
    assert ("idempotency-replayed" in first.headers, second.headers["idempotency-replayed"]) == (False, "true")
    ended_job(http, first.json())


def test_somebody_elses_job_does_not_exist(http: httpx2.Client, server: Server) -> None:
    job = make_job(http)
    made = manage("create_api_key", "other", "--quiet", data_dir=server.served.data_dir, DATABASE_URL="sqlite://")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    address = f"/api/v1/jobs/{job['job_id']}"

    assert http.get(address, headers=headers).status_code == 404
    assert http.delete(address, headers=headers).status_code == 404
    assert http.get("/api/v1/jobs", headers=headers).json() == {"jobs": [], "next": None}
    assert ended_job(http, job)["state"] == "completed"


@pytest.mark.parametrize(
    ("data", "file", "status", "field"),
    [
        ({}, b"rubbish", 415, "file"),
        ({"nonsense": "1"}, SPEECH, 422, "nonsense"),
        ({"config": "["}, SPEECH, 422, "config"),
        ({"config": '{"sample_rate_hertz": 8000}'}, SPEECH, 422, "config.sample_rate_hertz"),
        ({"config": '{"max_alternatives": 99}'}, SPEECH, 422, "config.max_alternatives"),
        ({}, encoded(bytes(32000 * 601), "flac"), 413, "file"),
    ],
)
def test_a_job_that_cannot_be_is_refused_at_once(
    http: httpx2.Client, server: Server, data: dict[str, str], file: bytes, status: int, field: str
) -> None:
    answer = http.post("/api/v1/jobs", files={"file": ("a.flac", file)}, data=data)

    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (status, 4000 + status, field)
    assert stored_files(server) == []


def test_a_job_that_is_killed_again_and_again_is_given_up(server: Server, http: httpx2.Client) -> None:
    """As by a file on which every process dies."""
    job = make_job(http)
    ended_job(http, job)
    server.rows(
        "UPDATE transcription_filejob SET state = 'queued', attempts = 99, ended_at = NULL, due_at = '2000-01-01',"
        " started_at = NULL, stored_name = ? WHERE public_id = ?",
        "0" * 32,
        job["job_id"],
    )
    server.rows("DELETE FROM transcription_transcriptsegment")
    server.rows("UPDATE transcription_transcriptionsession SET state = 'failed' WHERE public_id = ?", job["job_id"])

    ended = ended_job(http, job)

    assert (ended["state"], ended["error"]["reason"]) == ("failed", "too_many_attempts")


def test_a_running_job_can_be_cancelled(http: httpx2.Client, normal_speed: Server) -> None:
    normal_speed.riva.default = Script(settles=True, speed=1.0)
    job = make_job(http)
    wait_for(lambda: read_job(http, job)["session_id"] is not None, "the job is running")

    asked = http.delete(f"/api/v1/jobs/{job['job_id']}")

    assert asked.status_code == 200
    assert asked.json()["cancel_requested"]
    ended = ended_job(http, job)
    assert ended["state"] == "cancelled"
    assert normal_speed.ended(ended["session_id"])["end_reason"] == "cancelled"
    assert http.delete(f"/api/v1/jobs/{job['job_id']}").json()["state"] == "cancelled"
    normal_speed.all_released()


def test_a_job_of_a_killed_process_goes_on_where_it_was_settled(http: httpx2.Client, normal_speed: Server) -> None:
    """No word is lost or said twice."""
    words = 120
    normal_speed.riva.default = Script(settles=True, speed=6.0)
    job = make_job(http, encoded(spoken(words), "flac"))
    wait_for(lambda: read_job(http, job)["heard_ms"] > 5000, "some of it is settled")
    (worker,) = normal_speed.served.children(WORKER)

    normal_speed.riva.default = Script(settles=True)
    os.kill(worker, signal.SIGKILL)

    wait_for(lambda: normal_speed.served.children(WORKER) not in ([], [worker]), "there is another process")
    # Its lease runs out; half a minute is not waited for.
    normal_speed.rows("UPDATE transcription_filejob SET lease_until = '2000-01-01' WHERE lease_holder IS NOT NULL")
    wait_for(normal_speed.served.is_ready, "it is ready")
    done = ended_job(http, job)

    assert (done["state"], done["attempts"]) == ("completed", 2)
    assert word_numbers(transcript(http, done["session_id"])) == list(range(1, words + 1))
    session = last_session(normal_speed)
    assert (session["state"], session["gaps"], session["epoch"]) == ("completed", "[]", 2)


def test_a_job_of_a_process_that_is_ended_goes_on_in_the_next(http: httpx2.Client, normal_speed: Server) -> None:
    words = 300  # more than a session holds, so that its end is not waited for
    normal_speed.riva.default = Script(settles=True, speed=6.0)
    job = make_job(http, encoded(spoken(words), "flac"))
    wait_for(lambda: read_job(http, job)["heard_ms"] > 5000, "some of it is settled")
    (worker,) = normal_speed.served.children(WORKER)

    normal_speed.riva.default = Script(settles=True)
    normal_speed.served.process.send_signal(signal.SIGHUP)

    done = ended_job(http, job)
    wait_for(lambda: worker not in normal_speed.served.children(WORKER), "the process has ended")
    assert (done["state"], done["error"]) == ("completed", None)
    assert word_numbers(transcript(http, done["session_id"])) == list(range(1, words + 1))
    session = last_session(normal_speed)
    assert (session["state"], session["gaps"], session["epoch"]) == ("completed", "[]", 2)
