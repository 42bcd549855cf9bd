"""The main job, whole: recorded speech into the native socket of a real service, words out, the same words stored."""

from __future__ import annotations

import asyncio
import sqlite3
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import riva.client
from openai import OpenAI

from speechsite.tests.migrated import copy_migrated
from speechsite.tests.served import Served, manage
from transcription.client.native import NativeClient
from transcription.tests.audio_files import encoded
from transcription.tests.speech_clips import Clip, load_clips
from transcription.tests.word_error_rate import word_error_rate

CHUNK_BYTES = 3200
STREAMS_AT_ONCE = 3
MAX_WORD_ERROR_RATE = 0.06
# How far the service may be from the same engine asked directly.
MAX_LOSS = 0.01


@dataclass(frozen=True)
class Heard:
    clip: Clip
    session_id: str
    told: list[str]


@pytest.fixture(scope="module")
def served(asr_address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    data_dir = tmp_path_factory.mktemp("whole_line")
    copy_migrated(data_dir)
    with Served(data_dir, RIVA_SERVER=asr_address, DATABASE_URL="", REDIS_URL="") as served:
        yield served


@pytest.fixture(scope="module")
def heard(served: Served) -> list[Heard]:
    """Every clip through the native socket, a few at once, as fast as the service's credit allows."""

    async def hear_all() -> list[Heard]:
        places = asyncio.Semaphore(STREAMS_AT_ONCE)
        return await asyncio.gather(*(_hear(served, clip, places) for clip in load_clips()))

    return asyncio.run(hear_all())


async def _hear(served: Served, clip: Clip, places: asyncio.Semaphore) -> Heard:
    session_id = uuid.uuid4().hex
    url = served.url.replace("http://", "ws://") + f"/api/v1/transcribe/{session_id}"
    async with places, NativeClient(url) as client:
        await client.start({"title": clip.name})
        await client.stream(_chunks(clip.pcm))
        return Heard(clip, session_id, [client.finals[index]["text"] for index in sorted(client.finals)])


async def _chunks(pcm: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(pcm), CHUNK_BYTES):
        yield pcm[start : start + CHUNK_BYTES]


def _stored(data_dir: Path, session_id: str) -> list[str]:
    with sqlite3.connect(data_dir / "speechsite.sqlite3") as database:
        rows = database.execute(
            "SELECT segment.text FROM transcription_transcriptsegment AS segment"
            " JOIN transcription_transcriptionsession AS session ON session.id = segment.session_id"
            ' WHERE session.public_id = ? ORDER BY segment."index"',
            (session_id,),
        )
        return [text for (text,) in rows]


@pytest.mark.timeout(180)
def test_the_words_stored_are_the_words_the_client_was_told(served: Served, heard: list[Heard]) -> None:
    for one in heard:
        assert one.told
        assert _stored(served.data_dir, one.session_id) == one.told


@pytest.mark.timeout(180)
def test_speech_is_heard_with_few_errors_and_no_worse_than_by_the_engine_alone(
    asr_address: str, heard: list[Heard]
) -> None:
    references = [one.clip.text for one in heard]
    through_the_line = word_error_rate(references, [" ".join(one.told) for one in heard])
    service = riva.client.ASRService(riva.client.Auth(uri=asr_address))
    config = riva.client.RecognitionConfig(
        encoding=riva.client.AudioEncoding.LINEAR_PCM,
        sample_rate_hertz=16000,
        language_code="en-US",
        enable_automatic_punctuation=True,
    )
    directly = word_error_rate(
        references,
        [
            " ".join(
                result.alternatives[0].transcript for result in service.offline_recognize(one.clip.pcm, config).results
            )
            for one in heard
        ],
    )
    assert through_the_line <= MAX_WORD_ERROR_RATE
    assert through_the_line <= directly + MAX_LOSS


@pytest.mark.timeout(180)
def test_files_that_openais_client_uploads_are_heard_as_well(served: Served) -> None:
    """Each in another container, with what its codec leaves of it."""
    clips = [clip for clip in load_clips() if clip.name in ("austen-0920", "lj-0002", "riva-en-us-sample")]
    made = manage("create_api_key", "files", "--quiet", data_dir=served.data_dir, DATABASE_URL="")
    with OpenAI(base_url=f"{served.url}/v1", api_key=made.stdout.strip()) as client:
        answers = [
            client.audio.transcriptions.create(file=(f"a.{kind}", encoded(clip.pcm, kind)), model="whisper-1")
            for clip, kind in zip(clips, ("mp3", "m4a", "webm"), strict=True)
        ]
    texts = [answer.text for answer in answers]
    assert word_error_rate([clip.text for clip in clips], texts) <= 2 * MAX_WORD_ERROR_RATE
