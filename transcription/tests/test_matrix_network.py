"""Rows 38-41 and 43 of the fault matrix: what comes between a client and the service, or a client that runs ahead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from speechsite.tests.served import wait_for
from transcription.fake_riva.audio import Speech, silence, spoken, word_numbers
from transcription.fake_riva.script import Script
from transcription.tests.chaos.processes import memory_bytes
from transcription.tests.faulty_line import SPEECH, SPEED, FaultyLine, Running, running_line

SECOND = 32_000

patient = pytest.mark.timeout(180)
slow = pytest.mark.long


@pytest.fixture(scope="module")
def one_line(new_data_dir: Callable[[], Path]) -> Iterator[FaultyLine]:
    with running_line(new_data_dir()) as line:
        yield line


@pytest.fixture
def line(one_line: FaultyLine) -> Iterator[FaultyLine]:
    yield one_line
    one_line.reset()


async def test_row_38_a_client_that_vanishes_leaves_all_its_words_as_a_tail(line: FaultyLine) -> None:
    audio = spoken(8, tail_ms=0)
    async with line.server.client("row-38") as client:
        await client.start()
        await client.speak(audio)
        await asyncio.to_thread(
            wait_for, lambda: line.riva.streams[-1].audio_bytes == len(audio), "the recogniser has all audio"
        )
        client.socket.transport.abort()
    vanished_at = time.monotonic()
    await asyncio.to_thread(line.wait_for_state, "row-38", "detached", 10)
    await asyncio.to_thread(line.server.all_released)
    assert time.monotonic() - vanished_at <= 8
    segments = line.stored("row-38").segments
    assert [n for segment in segments for n in word_numbers(segment.text)] == list(range(1, 9))
    assert segments[-1].tail


async def test_row_39_a_client_takes_up_its_session_while_the_old_connection_is_half_open(line: FaultyLine) -> None:
    async with Running(line.client("row-39", through_proxy=True)) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        # Nothing passes any more, the end of the connection neither: the service sees it open.
        line.thread.call(line.front.hang)
        client.move_to(line.server.socket_url("/api/v1/transcribe/row-39"))
        await client.saw("transcription_resumed")
    assert line.violations(client) == []
    assert len(client.closes) == 1


@pytest.mark.parametrize("offline_s", [1.0, pytest.param(10.0, marks=[slow, patient])])
async def test_row_40_a_client_that_was_offline_continues_without_loss(line: FaultyLine, offline_s: float) -> None:
    name = f"row-40-{offline_s:g}"
    speech = SPEECH if offline_s < 5 else Speech(60)
    async with Running(line.client(name, speech, speed=SPEED if offline_s < 5 else 1.0)) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        client.cut(offline_s)
        await client.saw("transcription_resumed")
    assert line.violations(client) == []


async def test_row_41_audio_that_the_client_had_to_forget_is_a_gap_of_just_these_bytes(line: FaultyLine) -> None:
    speech = Speech(60, words_per_utterance=5, word_ms=100, gap_ms=60, pause_ms=1000)
    async with Running(line.client("row-41", speech, buffer_s=4.0)) as client:
        await client.saw("transcript", lambda event: event["is_final"])
        client.cut(1.5)
        await client.saw("transcription_resumed")
    [gap] = client.record.discarded
    assert line.stored("row-41").gaps[0][1] == gap[1]
    assert line.violations(client) == []
    assert client.record.stopped is not None
    [told] = client.record.stopped["gaps"]
    # A millisecond of which a part is lost is lost.
    assert told["end_ms"] == -(-gap[1] // 32)


@slow
@patient
async def test_row_43_a_client_that_ignores_its_limit_is_paused_and_then_let_go(line: FaultyLine) -> None:
    [worker] = line.workers()
    before = memory_bytes(worker)
    line.riva.default = Script(speed=1.0)
    async with line.server.client("row-43") as client:
        await client.start()

        async def send_too_fast() -> None:
            with suppress(ConnectionClosed):
                while True:
                    await client.send(silence(1000))
                    await asyncio.sleep(0.05)

        sending = asyncio.create_task(send_too_fast())
        assert await client.closed() == 4429
        await sending
    assert "too_fast" in [event["code"] for event in client.of("audio_warning")]
    assert client.error["safe"] >= 0
    # The limit is 80 s of audio ahead, and the messages that wait.
    assert memory_bytes(worker) - before < 120 * SECOND
