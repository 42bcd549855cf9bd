"""A recording heard once more by a whole server: the words of the rerun stand beside those of the original."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from speechsite.tests.served import manage, wait_for
from transcription.fake_riva.audio import spoken, word_texts
from transcription.tests.audio_files import encoded
from transcription.tests.servers import Server, running_server

pytestmark = pytest.mark.timeout(180)

WORDS = 6
TIMEOUT_S = 60.0


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Any]) -> Iterator[Server]:
    with running_server(new_data_dir(), KEEP_AUDIO="on", MIN_FREE_DISK_BYTES="0") as running:
        yield running


@pytest.fixture(scope="module")
def http(server: Server) -> Iterator[httpx2.Client]:
    made = manage("create_api_key", "reruns", "--quiet", data_dir=server.served.data_dir, DATABASE_URL="sqlite://")
    headers = {"Authorization": f"Bearer {made.stdout.strip()}"}
    with httpx2.Client(base_url=server.served.url, headers=headers, timeout=TIMEOUT_S) as http:
        yield http


def recorded_session(http: httpx2.Client) -> str:
    """The id of a session whose audio is kept."""
    http.post("/v1/audio/transcriptions", files={"file": encoded(spoken(WORDS), "flac")}, data={"model": "whisper-1"})
    session_id: str = http.get("/api/v1/sessions").json()["sessions"][0]["session_id"]
    wait_for(
        lambda: http.get(f"/api/v1/sessions/{session_id}/audio").status_code == 200, "the audio is kept", TIMEOUT_S
    )
    return session_id


def test_a_recording_is_heard_once_more_and_compared(server: Server, http: httpx2.Client) -> None:
    session_id = recorded_session(http)
    reruns = f"/api/v1/sessions/{session_id}/reruns"
    asked = http.post(reruns, json={"title": "Once more", "speech_contexts": [{"phrases": ["one"], "boost": 5.0}]})
    assert asked.status_code == 202, asked.text
    wait_for(lambda: http.get(reruns).json()["reruns"][0]["state"] == "completed", "the rerun is done", TIMEOUT_S)

    [rerun] = http.get(reruns).json()["reruns"]
    assert rerun["session_id"] == rerun["rerun_id"] == asked.json()["rerun_id"]
    found = http.get(f"{reruns}/{rerun['rerun_id']}").json()
    text = " ".join(row["rerun"] for row in found["rows"])
    assert text.split() == word_texts(WORDS)
    assert all(row["original"] == row["rerun"] for row in found["rows"])
    [row] = server.rows("SELECT * FROM transcription_transcriptionsession WHERE public_id = ?", rerun["rerun_id"])
    assert (row["dialect"], row["title"], row["state"]) == ("rerun", "Once more", "completed")
    assert row["rerun_of_id"] is not None
    # Nobody keeps the same audio twice.
    assert len(server.rows("SELECT id FROM transcription_sessionrecording")) == 1


def test_audio_that_is_gone_ends_the_rerun_with_its_reason(server: Server, http: httpx2.Client) -> None:
    session_id = recorded_session(http)
    for folder, _folders, names in os.walk(server.served.data_dir / "recordings"):
        for name in names:
            if name.endswith((".flac", ".wav")):
                os.unlink(os.path.join(folder, name))
    reruns = f"/api/v1/sessions/{session_id}/reruns"
    assert http.post(reruns, json={}).status_code == 202
    wait_for(lambda: http.get(reruns).json()["reruns"][0]["state"] == "failed", "the rerun has failed", TIMEOUT_S)
    assert http.get(reruns).json()["reruns"][0]["error"]["reason"] == "audio_lost"
