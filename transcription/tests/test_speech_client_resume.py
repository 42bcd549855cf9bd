"""The example client, against a server that breaks off."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from examples import speech_client
from examples.speech_client import ConnectionLost, Event, HeldAudio, SpeechError, back_off_s, transcribe
from speechsite.config import BASE_DIR
from transcription.tests.cutting_server import SEGMENT_BYTES, Cut, CuttingServer, chunks_of, numbered_audio

AUDIO = numbered_audio(8)
FINALS = [f"segment {index}" for index in range(8)]
# More than the buffer has chunks.
TURNS_TO_FILL = 200
PROGRAM = BASE_DIR / "examples" / "speech_client.py"


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param([Cut("audio", 1)], id="at the first byte"),
        pytest.param([Cut("audio", 100_000), Cut("audio", 200_000)], id="twice"),
        pytest.param([Cut("audio", len(AUDIO))], id="at the last byte"),
        pytest.param([Cut("audio", 90_000), Cut("opening")], id="and before the answer"),
        pytest.param([Cut("stop")], id="after the stop"),
        pytest.param([Cut("audio", 100_000, code=4503, retry_after_ms=10, tail=True)], id="draining, with a tail"),
    ],
)
async def test_it_goes_on_after_a_cut_and_no_byte_is_lost(cuts: list[Cut]) -> None:
    server = CuttingServer(cuts)
    finals: dict[int, str] = {}

    def on_event(event: Event) -> None:
        if event["event"] == "revised":
            for index in [index for index in finals if index >= event["from_segment"]]:
                del finals[index]

    async with server.serving() as url:
        stopped = await transcribe(
            url,
            chunks_of(AUDIO),
            {},
            on_transcript=lambda event: finals.update({event["segment"]: event["text"]}),
            on_event=on_event,
        )
    assert bytes(server.audio) == AUDIO
    assert list(finals.values()) == FINALS
    assert stopped["segments"] == len(FINALS)
    assert not server.passed_limit


async def test_it_takes_audio_while_there_is_no_connection() -> None:
    """A microphone does not wait: what it gives in the meantime is sent later."""
    server = CuttingServer([Cut("audio", SEGMENT_BYTES)])
    resumed = asyncio.Event()
    taken: list[int] = []

    async def live() -> AsyncIterator[bytes]:
        async for chunk in chunks_of(AUDIO):
            taken.append(len(chunk))
            if sum(taken) == 4 * SEGMENT_BYTES:
                # All of this was taken while the connection was lost.
                await resumed.wait()
            yield chunk

    def on_event(event: Event) -> None:
        if event["event"] == "transcription_resumed":
            resumed.set()

    async with server.serving() as url:
        await transcribe(url, live(), {}, on_transcript=lambda event: None, on_event=on_event)
    assert bytes(server.audio) == AUDIO


@pytest.mark.parametrize("code", [4404, 4409, 4410, 4490])
async def test_what_is_not_retryable_is_raised(code: int) -> None:
    server = CuttingServer([Cut("audio", 100_000, code=code, retryable=False)])
    async with server.serving() as url:
        with pytest.raises(SpeechError) as caught:
            await transcribe(url, chunks_of(AUDIO), {}, on_transcript=lambda event: None)
    assert (caught.value.code, server.connections) == (code, 1)


async def test_a_session_that_cannot_be_resumed_is_lost_with_its_connection() -> None:
    server = CuttingServer([Cut("audio", 100_000)], resumable=False)
    async with server.serving() as url:
        with pytest.raises(ConnectionLost):
            await transcribe(url, chunks_of(AUDIO), {}, on_transcript=lambda event: None)


async def test_it_gives_up_when_the_window_is_over() -> None:
    server = CuttingServer([Cut("audio", 100_000), Cut("greeting", code=4503, retry_after_ms=5000)], window_ms=1000)
    async with server.serving() as url:
        with pytest.raises(SpeechError):
            await transcribe(url, chunks_of(AUDIO), {}, on_transcript=lambda event: None)


async def test_its_buffer_is_bounded() -> None:
    held = HeldAudio()
    chunk = bytes(1_000_000)

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield chunk
            await asyncio.sleep(0)

    async def fill_up() -> None:
        for _ in range(TURNS_TO_FILL):
            await asyncio.sleep(0)

    filling = asyncio.create_task(held.fill(endless()))
    await fill_up()
    full = held.end
    assert speech_client.MAX_HELD_BYTES <= full <= speech_client.MAX_HELD_BYTES + len(chunk)
    held.forget(5_000_000)
    await fill_up()
    assert held.end == full + 5_000_000
    filling.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await filling


def test_waits_double_up_to_eight_seconds_and_vary_by_half() -> None:
    lost = ConnectionLost("gone")
    for attempt, wait_s in enumerate([0.25, 0.5, 1, 2, 4, 8, 8, 8]):
        waits = [back_off_s(attempt, lost) for _ in range(50)]
        assert wait_s / 2 <= min(waits) < max(waits) <= wait_s * 1.5


def test_it_waits_as_long_as_the_service_asks_for() -> None:
    fields = {"message": "", "code": 4503, "reason": "draining", "retryable": True, "field": None, "request_id": "r"}
    assert back_off_s(0, SpeechError({**fields, "retry_after_ms": 3000})) == 3


async def test_the_program_prints_every_final_once(tmp_path: Path) -> None:
    path = tmp_path / "numbers.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(AUDIO)
    server = CuttingServer([Cut("audio", 100_000, code=4503, retry_after_ms=10, tail=True), Cut("audio", 200_000)])
    async with server.serving() as url:
        host = url.removesuffix("/api/v1/transcribe/a")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            PROGRAM,
            "--server",
            host,
            path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, errors = await process.communicate()
    assert output.decode().splitlines() == FINALS
    assert b"The session goes on." in errors
    assert process.returncode == 0
