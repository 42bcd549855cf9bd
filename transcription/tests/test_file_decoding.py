"""The decoder's own process: its audio, its errors, and that nothing of it stays."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import tempfile
from typing import BinaryIO

import pytest

from speechsite.config import BASE_DIR
from speechsite.tests.served import processes
from transcription.audio.containers import BYTES_PER_MS, FileLimits
from transcription.errors import BadAudio, MessageTooLarge
from transcription.files import decoder
from transcription.files.decoding import Decoding
from transcription.tests.audio_files import encoded, tone

LIMITS = FileLimits(max_audio_ms=60_000, max_streams=32)


def file_of(content: bytes) -> BinaryIO:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - its user closes it
    file.write(content)
    file.seek(0)
    return file


def decoders() -> list[int]:
    return [one.pid for one in processes() if decoder.__name__ in one.command]


async def decoded(content: bytes, limits: FileLimits = LIMITS, *, skip_bytes: int = 0) -> bytes:
    with file_of(content) as file:
        async with Decoding(file, limits, skip_bytes=skip_bytes) as found:
            return b"".join([chunk async for chunk in found.chunks()])


async def test_it_gives_the_audio_in_small_chunks() -> None:
    pcm = tone(1700)
    with file_of(encoded(pcm, "flac")) as file:
        async with Decoding(file, LIMITS) as found:
            chunks = [chunk async for chunk in found.chunks()]

    assert found.info.duration_ms == 1700
    assert b"".join(chunks) == pcm
    assert max(map(len, chunks)) <= 500 * BYTES_PER_MS


@pytest.mark.parametrize("skip_bytes", [0, 2, 15_998, 16_000, 16_002, 40_000])
async def test_it_begins_where_it_is_asked_to(skip_bytes: int) -> None:
    pcm = tone(1700)

    assert await decoded(encoded(pcm, "flac"), skip_bytes=skip_bytes) == pcm[skip_bytes:]


async def test_no_audio_is_an_error_before_any_chunk() -> None:
    with file_of(b"PK\x03\x04" + bytes(500)) as file, pytest.raises(BadAudio) as caught:
        await Decoding(file, LIMITS).__aenter__()

    assert (caught.value.reason, caught.value.field) == ("not_audio", "file")
    assert decoders() == []


async def test_a_file_that_says_it_is_too_long_is_not_begun() -> None:
    with file_of(encoded(tone(2000), "flac")) as file, pytest.raises(MessageTooLarge, match="longer") as caught:
        await Decoding(file, FileLimits(max_audio_ms=1000)).__aenter__()

    assert caught.value.reason == "audio_too_long"


async def test_a_decoder_that_crashes_is_an_error_of_the_file() -> None:
    """A signal is what a bug in a library ends with."""
    with file_of(encoded(tone(50_000), "flac")) as file:
        async with Decoding(file, LIMITS) as found:
            (pid,) = decoders()
            os.kill(pid, signal.SIGSEGV)
            with pytest.raises(BadAudio):
                [chunk async for chunk in found.chunks()]


async def test_a_decoder_that_is_left_is_ended() -> None:
    with file_of(encoded(tone(50_000), "flac")) as file:
        async with Decoding(file, LIMITS) as found:
            async for _chunk in found.chunks():
                break
            assert decoders()
    assert decoders() == []


async def test_a_decoder_whose_user_is_cancelled_is_ended() -> None:
    begun = asyncio.Event()

    async def use() -> None:
        with file_of(encoded(tone(50_000), "flac")) as file:
            async with Decoding(file, LIMITS):
                begun.set()
                await asyncio.Event().wait()

    task = asyncio.create_task(use())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert decoders() == []


def run_decoder(content: bytes, **orders: int) -> bytes:
    """The program itself, with bounds of the test's own."""
    usual = {
        "max_audio_ms": 3_600_000, "max_streams": 32, "skip_bytes": 0, "max_memory_bytes": 1024**3, "max_cpu_s": 60,
    }  # fmt: skip
    with file_of(content) as file:
        return subprocess.run(
            [sys.executable, "-m", decoder.__name__, json.dumps({**usual, **orders})],
            stdin=file,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=BASE_DIR,
            check=False,
        ).stdout


def test_it_may_take_so_much_memory_and_no_more() -> None:
    plenty = run_decoder(encoded(tone(500), "flac"))
    little = run_decoder(encoded(tone(500), "flac"), max_memory_bytes=8 * 1024**2)

    assert plenty.endswith(decoder.HEAD.pack(decoder.END, 0))
    assert not little.endswith(decoder.HEAD.pack(decoder.END, 0))


def test_what_is_wrong_is_told_in_the_middle_too() -> None:
    output = io.BytesIO()
    decoder.run(io.BytesIO(encoded(tone(3000), "flac")), output, FileLimits(max_audio_ms=2000), 0)

    assert b'"problem": "too_long"' in output.getvalue()[-200:]
    assert output.getvalue().count(decoder.HEAD.pack(decoder.PCM, 16_000)) >= 3
