"""Streaming to a Riva-compatible server with plain gRPC, for tests that look at every message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from riva.client.proto import riva_asr_pb2, riva_asr_pb2_grpc

CHUNK_BYTES = 3_200
CALL_TIMEOUT_S = 60.0


def streaming_config(interim_results: bool = True, **fields: Any) -> riva_asr_pb2.StreamingRecognitionConfig:
    """LINEAR_PCM at 16 kHz with punctuation and word times, unless said otherwise."""
    config = {
        "encoding": 1,
        "sample_rate_hertz": 16_000,
        "language_code": "en-US",
        "enable_automatic_punctuation": True,
        "enable_word_time_offsets": True,
        **fields,
    }
    return riva_asr_pb2.StreamingRecognitionConfig(
        config=riva_asr_pb2.RecognitionConfig(**config), interim_results=interim_results
    )


@asynccontextmanager
async def riva_stub(address: str) -> AsyncIterator[riva_asr_pb2_grpc.RivaSpeechRecognitionStub]:
    """A stub on a channel of its own."""
    async with grpc.aio.insecure_channel(address) as channel:
        yield riva_asr_pb2_grpc.RivaSpeechRecognitionStub(channel)


async def open_stream(stub: Any, config: riva_asr_pb2.StreamingRecognitionConfig | None = None) -> Any:
    """A call whose configuration the embedded recogniser has accepted."""
    call = stub.StreamingRecognize(timeout=CALL_TIMEOUT_S)
    await call.write(riva_asr_pb2.StreamingRecognizeRequest(streaming_config=config or streaming_config()))
    if "x-audio-processed" not in dict(await call.initial_metadata() or ()):
        await call.read()  # raises what the server refused it with
        raise AssertionError("the server neither accepted nor refused the configuration")
    return call


async def send_audio(call: Any, pcm: bytes, chunk_bytes: int = CHUNK_BYTES) -> None:
    """Send all of it as fast as the server takes it."""
    for at in range(0, len(pcm), chunk_bytes):
        await call.write(riva_asr_pb2.StreamingRecognizeRequest(audio_content=pcm[at : at + chunk_bytes]))


async def read_results(call: Any) -> list[riva_asr_pb2.StreamingRecognitionResult]:
    """Every result until the server ends the call; raises what the server ended it with."""
    results: list[riva_asr_pb2.StreamingRecognitionResult] = []
    while (response := await call.read()) is not grpc.aio.EOF:
        results += response.results
    return results


async def recognize(
    stub: Any,
    pcm: bytes,
    config: riva_asr_pb2.StreamingRecognitionConfig | None = None,
    chunk_bytes: int = CHUNK_BYTES,
) -> list[riva_asr_pb2.StreamingRecognitionResult]:
    """Stream `pcm`, half-close, and return every result."""

    async def requests() -> AsyncIterator[riva_asr_pb2.StreamingRecognizeRequest]:
        yield riva_asr_pb2.StreamingRecognizeRequest(streaming_config=config or streaming_config())
        for at in range(0, len(pcm), chunk_bytes):
            yield riva_asr_pb2.StreamingRecognizeRequest(audio_content=pcm[at : at + chunk_bytes])

    return await read_results(stub.StreamingRecognize(requests(), timeout=CALL_TIMEOUT_S))


def finals(
    results: list[riva_asr_pb2.StreamingRecognitionResult],
) -> list[riva_asr_pb2.StreamingRecognitionResult]:
    return [result for result in results if result.is_final]


def transcript(results: list[riva_asr_pb2.StreamingRecognitionResult]) -> str:
    """The text of all finals."""
    return " ".join(result.alternatives[0].transcript.strip() for result in finals(results))
