"""NVIDIA's and OpenAI's own realtime clients, unmodified, with what a person would do around them."""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import wave
from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from riva.client.realtime import RealtimeClientASR

CLIENT_TIMEOUT_S = 60.0
COMPLETED = "conversation.item.input_audio_transcription.completed"
DELTA = "conversation.item.input_audio_transcription.delta"


def wav_file(pcm: bytes, sample_rate_hz: int = 16000) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate_hz)
        writer.writeframes(pcm)
    return file.getvalue()


def pieces(data: bytes, size_bytes: int) -> list[bytes]:
    return [data[start : start + size_bytes] for start in range(0, len(data), size_bytes)]


async def as_microphone(chunks: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Chunks as NVIDIA's own microphone iterator gives them: asynchronously, one by one."""
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def nvidia_arguments(server: str, **given: Any) -> argparse.Namespace:
    """What NVIDIA's script realtime_asr_client.py hands to the client; given: what a person types.

    server: HOST:PORT.
    """
    usual: dict[str, Any] = {
        "endpoint": "/v1/realtime", "query_params": "intent=transcription", "mint_api_key": None, "use_ssl": False,
        "ssl_root_cert": None, "ssl_client_cert": None, "ssl_client_key": None, "mic": False, "prompt": "",
        "language_code": "en-US", "model_name": "", "sample_rate_hz": 16000, "num_channels": 1,
        "max_alternatives": 1, "automatic_punctuation": True, "word_time_offsets": False, "profanity_filter": False,
        "no_verbatim_transcripts": False, "speaker_diarization": False, "diarization_max_speakers": 0,
        "boosted_lm_words": [], "boosted_lm_score": 4.0, "custom_configuration": "",
        "start_history": -1, "start_threshold": -1.0, "stop_history": -1, "stop_history_eou": -1,
        "stop_threshold": -1.0, "stop_threshold_eou": -1.0,
    }  # fmt: skip
    return argparse.Namespace(server=server, **(usual | given))


async def nvidia_transcribes(
    arguments: argparse.Namespace, chunks: Any, *, force_eou_chunks: Iterable[bool] | None = None
) -> RealtimeClientASR:
    """The client after it has sent all chunks and heard the end, as NVIDIA's script does it."""
    client = RealtimeClientASR(arguments)
    await client.connect()
    try:
        async with asyncio.timeout(CLIENT_TIMEOUT_S):
            await asyncio.gather(client.send_audio_chunks(chunks, force_eou_chunks), client.receive_responses())
    finally:
        await client.disconnect()
    return client


def openai_client(server: str, key: str) -> AsyncOpenAI:
    """server: HOST:PORT."""
    return AsyncOpenAI(api_key=key, base_url=f"http://{server}/v1", max_retries=0, timeout=CLIENT_TIMEOUT_S)


async def append(connection: Any, audio: bytes, chunk_bytes: int = 4800) -> None:
    for chunk in pieces(audio, chunk_bytes):
        await connection.input_audio_buffer.append(audio=base64.b64encode(chunk).decode())


async def until(connection: Any, kind: str, count: int = 1) -> list[Any]:
    """Events up to and with the count-th of a kind."""
    found: list[Any] = []
    async with asyncio.timeout(CLIENT_TIMEOUT_S):
        while sum(event.type == kind for event in found) < count:
            found.append(await connection.recv())
    return found


def transcripts(found: Iterable[Any]) -> list[str]:
    return [event.transcript for event in found if event.type == COMPLETED]
