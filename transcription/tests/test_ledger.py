"""The ledger along the whole line: what the client is told, what the export says, and the bytes behind both."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from transcription.fake_riva.audio import spoken
from transcription.storage.coverage import account
from transcription.tests.servers import Server, running_server

pytestmark = pytest.mark.timeout(120)

FORGOTTEN_BYTES = 76_800


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Path]) -> Iterator[Server]:
    with running_server(new_data_dir()) as running:
        yield running


async def test_a_gap_is_told_to_the_client_and_in_the_export_and_every_byte_is_accounted_for(server: Server) -> None:
    async with server.client("gap") as before:
        token = (await before.start())["resume_token"]
        await before.speak(spoken(5))
        await before.until("transcript", lambda event: event["is_final"] and event["durable"])
        before.socket.transport.abort()
    async with server.client("gap") as after:
        held_from = len(spoken(5)) + FORGOTTEN_BYTES
        resume = {"resume_token": token, "received_segments": 1, "held_from": held_from}
        await after.send({"type": "resume_transcription", **resume})
        resumed = await after.until("transcription_resumed")
        await after.speak(spoken(5, first=6))
        assert await after.stop() == 1000

    stopped = after.events[-1]
    export = json.loads(server.served.get("/api/v1/sessions/gap/transcript")[1])
    [row] = server.rows(
        "SELECT audio_bytes, committed_bytes, flushed_bytes, gaps FROM transcription_transcriptionsession "
        "WHERE public_id = 'gap'"
    )
    found = account(
        settled=row["committed_bytes"],
        flushed=row["flushed_bytes"],
        gaps=json.loads(row["gaps"]),
        audio=row["audio_bytes"],
    )

    assert resumed["audio_offset"] == held_from
    assert stopped["gaps"] == export["gaps"]
    [gap] = stopped["gaps"]
    # The client also had to forget what came after the settled silence, so the gap begins there.
    assert gap["end_ms"] == held_from // 32
    assert gap["end_ms"] - gap["start_ms"] >= FORGOTTEN_BYTES // 32
    assert sum(entry["end_ms"] - entry["start_ms"] for entry in export["coverage"]) == stopped["audio_ms"]
    assert sum(found) == row["audio_bytes"] == stopped["received"]
    assert (found.unanswered, found.flushed) == (0, 0)
    assert found.gaps == 32 * (gap["end_ms"] - gap["start_ms"])
