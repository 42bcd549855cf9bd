"""What the peers say to Riva and make of its answers: the same for all, and no more than an interim needs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from riva.client.proto import riva_asr_pb2 as messages
from riva.client.proto import riva_audio_pb2 as audio_messages

SAMPLE_RATE_HZ = 16_000
MS_PER_SECOND = 1000

CONFIG_REQUEST = messages.StreamingRecognizeRequest(
    streaming_config=messages.StreamingRecognitionConfig(
        config=messages.RecognitionConfig(
            encoding=audio_messages.LINEAR_PCM,
            sample_rate_hertz=SAMPLE_RATE_HZ,
            audio_channel_count=1,
            language_code="en-US",
            max_alternatives=1,
            enable_automatic_punctuation=True,
        ),
        interim_results=True,
    )
)


def audio_request(pcm: bytes) -> Any:
    return messages.StreamingRecognizeRequest(audio_content=pcm)


def result_messages(response: Any) -> Iterator[dict[str, Any]]:
    """What a client is sent for one response. `audio_ms`: the audio that the result covers, from the stream's start."""
    for result in response.results:
        if not result.alternatives:
            continue
        best = result.alternatives[0]
        yield {
            "type": "transcript",
            "transcript": best.transcript,
            "is_final": result.is_final,
            "confidence": best.confidence,
            "audio_ms": round(result.audio_processed * MS_PER_SECOND),
        }
