"""Kept audio of a real service: complete after a worker is killed, heard again where its client stays away."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from speechsite.tests.served import wait_for
from transcription.fake_riva.audio import Speech, spoken, word_numbers
from transcription.tests.chaos.client import ResilientClient
from transcription.tests.faulty_line import SPEECH, FaultyLine, Running, running_line
from transcription.tests.servers import EVENT_TIMEOUT_S, Client

WAV_HEADER_BYTES = 44
SECOND = 32000
PATIENCE_S = 60.0

pytestmark = pytest.mark.timeout(180)


@pytest.fixture(scope="module")
def line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    with running_line(
        new_data_dir(),
        workers=2,
        KEEP_AUDIO="ask",
        RECORDING_FORMAT="wav",
        RESUME_WINDOW_SECONDS="3",
        MIN_FREE_DISK_BYTES="0",
    ) as line:
        yield line


def recording(line: FaultyLine, session_id: str) -> dict[str, Any]:
    found = line.server.rows(
        "SELECT r.* FROM transcription_sessionrecording r JOIN transcription_transcriptionsession s "
        "ON s.id = r.session_id WHERE s.public_id = ?",
        session_id,
    )
    return found[0] if found else {}


def joined(line: FaultyLine, session_id: str) -> dict[str, Any]:
    wait_for(lambda: recording(line, session_id).get("state") != "recording", "the recording is joined", PATIENCE_S)
    return recording(line, session_id)


def fetched(line: FaultyLine, path: str) -> bytes:
    with urllib.request.urlopen(f"{line.server.served.url}/api/v1/{path}", timeout=EVENT_TIMEOUT_S) as answer:  # noqa: S310
        content: bytes = answer.read()
    return content


def kill_holder(line: FaultyLine, session_id: str) -> None:
    """As a crash: its heartbeats end, and to the others it is dead at once."""
    [row] = line.server.rows(
        "SELECT w.pid, w.id FROM transcription_transcriptionsession s "
        "JOIN transcription_worker w ON w.id = s.worker_id WHERE s.public_id = ?",
        session_id,
    )
    os.kill(int(row["pid"]), signal.SIGKILL)
    line.server.rows("UPDATE transcription_worker SET heartbeat_at = '2020-01-01 00:00:00' WHERE id = ?", row["id"])


def written_bytes(line: FaultyLine, session_id: str) -> int:
    folder = recording(line, session_id).get("folder")
    parts = line.server.served.data_dir / "recordings" / "parts" / str(folder)
    return sum(path.stat().st_size for path in parts.glob("*.part")) if folder else 0


async def told_final(client: ResilientClient) -> None:
    await client.saw("transcript", lambda event: event["is_final"])


async def test_kept_audio_is_the_audio_that_was_sent_though_the_worker_was_killed(line: FaultyLine) -> None:
    async with Running(line.client("kept", keep_audio=True)) as client:
        await told_final(client)
        kill_holder(line, "kept")
        await client.saw("transcription_resumed")

    row = await asyncio.to_thread(joined, line, "kept")
    audio = await asyncio.to_thread(fetched, line, "sessions/kept/audio")

    assert line.violations(client) == []
    assert (row["state"], row["missing"]) == ("complete", "[]")
    assert audio[WAV_HEADER_BYTES:] == b"".join(SPEECH.chunks())
    peaks = json.loads(await asyncio.to_thread(fetched, line, "sessions/kept/peaks"))
    assert peaks["duration_ms"] == (len(audio) - WAV_HEADER_BYTES) // 32
    assert max(peaks["peaks"]) > 0.9
    assert not (line.server.served.data_dir / "recordings" / "parts" / row["folder"]).exists()


async def test_words_of_a_killed_worker_are_heard_from_its_recording_if_the_client_stays_away(line: FaultyLine) -> None:
    # The recogniser says no final before the pause at the end: nothing is settled when the worker dies.
    speech = spoken(12, words_per_utterance=12, word_ms=100, gap_ms=60, tail_ms=100)
    async with Client(line.server.socket_url("/api/v1/transcribe/alone"), ping_interval=None) as client:
        await client.start(keep_audio=True)
        await client.speak(speech)
        await client.until("transcript", lambda event: "word0012" in event["text"])
        await asyncio.to_thread(wait_for, lambda: written_bytes(line, "alone") == len(speech), "all is written")
        assert line.stored("alone").segments == ()
        kill_holder(line, "alone")

    await asyncio.to_thread(line.wait_for_state, "alone", "interrupted", PATIENCE_S)
    row = await asyncio.to_thread(joined, line, "alone")

    segments = line.stored("alone").segments
    assert word_numbers(" ".join(segment.text for segment in segments)) == list(range(1, 13))
    assert not any(segment.tail for segment in segments)
    assert line.stored("alone").epoch == 2
    assert row["state"] == "complete"
    assert (await asyncio.to_thread(fetched, line, "sessions/alone/audio"))[WAV_HEADER_BYTES:] == speech


async def test_a_live_session_is_heard_a_few_seconds_behind(line: FaultyLine) -> None:
    speech = spoken(8)
    async with Client(line.server.socket_url("/api/v1/transcribe/live")) as client:
        await client.start(keep_audio=True)
        await client.speak(speech)
        await asyncio.to_thread(wait_for, lambda: written_bytes(line, "live") == len(speech), "all is written")
        url = f"{line.server.served.url}/api/v1/sessions/live/audio?live=1"
        answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=EVENT_TIMEOUT_S)
        with answer:
            first = await asyncio.to_thread(answer.read, WAV_HEADER_BYTES + 3 * SECOND)
            await client.speak(speech)
            more = await asyncio.to_thread(answer.read, len(speech))
            await client.stop()

    assert first[:4] == b"RIFF"
    assert first[WAV_HEADER_BYTES:] == speech[-3 * SECOND :]
    assert more == speech


async def test_audio_is_not_kept_unless_the_session_asks_for_it(line: FaultyLine) -> None:
    async with Client(line.server.socket_url("/api/v1/transcribe/unkept")) as client:
        started = await client.start()
        await client.speak(b"".join(Speech(2).chunks()))
        await client.stop()

    assert started["config"]["keep_audio"] is False
    assert recording(line, "unkept") == {}
    with pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(fetched, line, "sessions/unkept/audio")
    assert json.loads(caught.value.read())["reason"] == "no_audio"
