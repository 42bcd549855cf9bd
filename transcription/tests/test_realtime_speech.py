"""NVIDIA's and OpenAI's own realtime clients with recorded speech, against the embedded recogniser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from speechsite.tests.served import Served, manage, wait_for
from transcription.tests.realtime_clients import (
    COMPLETED,
    append,
    nvidia_arguments,
    nvidia_transcribes,
    openai_client,
    pieces,
    transcripts,
    until,
    wav_file,
)
from transcription.tests.speech_clips import load_clip, load_samples
from transcription.tests.word_error_rate import word_error_rate

CLIPS = [load_clip(name) for name in ("riva-en-us-sample", "lj-0008", "librispeech-1688-142285-0008")]
TEXTS = [clip.text for clip in CLIPS]
# The bar of the recogniser itself for all its clips together.
MAX_WORD_ERROR_RATE = 0.06
OPENAI_RATE_HZ = 24000


@pytest.fixture(scope="module")
def started(new_data_dir: Callable[[], Path], asr_address: str) -> Iterator[tuple[str, str]]:
    """HOST:PORT of a server, and a key."""
    folder = new_data_dir()
    key = manage("create_api_key", "of-the-test", "--quiet", data_dir=folder, DATABASE_URL="sqlite://").stdout.strip()
    with Served(folder, RIVA_SERVER=asr_address, DATABASE_URL="sqlite://", REDIS_URL="") as served:
        wait_for(served.is_ready, "ready")
        yield served.url.removeprefix("http://"), key


async def test_nvidias_client_transcribes_speech(started: tuple[str, str]) -> None:
    address, _key = started
    heard = []
    for clip in CLIPS:
        client = await nvidia_transcribes(nvidia_arguments(address), pieces(wav_file(clip.pcm), 3200))
        heard.append(client.final_transcript)
    assert word_error_rate(TEXTS, heard) <= MAX_WORD_ERROR_RATE, heard


async def test_openais_client_transcribes_speech(started: tuple[str, str]) -> None:
    address, key = started
    heard = []
    for clip in CLIPS:
        async with openai_client(address, key).realtime.connect(extra_query={"intent": "transcription"}) as connection:
            session = {"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            await connection.session.update(session=session)  # type: ignore[arg-type]  # a plain dict is taken too
            await append(connection, load_samples(clip.path, OPENAI_RATE_HZ).astype("<i2").tobytes())
            await connection.input_audio_buffer.commit()
            heard += transcripts(await until(connection, COMPLETED))
    assert word_error_rate(TEXTS, heard) <= MAX_WORD_ERROR_RATE, heard
