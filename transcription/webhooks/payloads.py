"""What is sent: `type`, `timestamp` and `data` of the Standard Webhooks specification, as JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.rest.schemas import SessionAnswer
from transcription.webhooks.event_types import EventType

# Of one delivery of segments; some three minutes of speech to three quarters of an hour.
MAX_SEGMENTS = 100
MAX_SEGMENTS_BYTES = 128 * 1024
# What a segment brings along beside its text.
SEGMENT_OVERHEAD_BYTES = 250


def build_body(event_type: EventType, data: dict[str, Any], *, now: datetime) -> str:
    """The JSON text of an event. now: when it happened, or was noticed."""
    timestamp = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    event = {"type": event_type.value, "timestamp": timestamp, "data": data}
    return json.dumps(event, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def session_data(session: TranscriptionSession) -> dict[str, Any]:
    """The facts of a session as `GET /api/v1/sessions/{session_id}` has them. Its owner and key are at hand."""
    return SessionAnswer.of(session).model_dump(mode="json")


def segments_data(session: TranscriptionSession, segments: Sequence[TranscriptSegment]) -> dict[str, Any]:
    """Segments that follow each other, and what tells their session; words and alternatives are in the transcript."""
    return {
        "session_id": session.public_id,
        "title": session.title,
        "metadata": session.metadata,
        "language": session.language,
        "segments": [_segment_data(segment) for segment in segments],
    }


def _segment_data(segment: TranscriptSegment) -> dict[str, Any]:
    return {
        "segment": segment.index,
        "start_ms": segment.start_ms,
        "end_ms": segment.end_ms,
        "text": segment.text,
        "confidence": segment.confidence,
        "speaker": segment.speaker or None,
        "channel": segment.channel,
        "language": segment.language or None,
        "tail": segment.tail,
    }


def in_batches(segments: Iterable[TranscriptSegment]) -> Iterator[list[TranscriptSegment]]:
    """Segments of one delivery each: at most MAX_SEGMENTS and about MAX_SEGMENTS_BYTES, but at least one."""
    batch: list[TranscriptSegment] = []
    size = 0
    for segment in segments:
        segment_bytes = len(segment.text.encode()) + SEGMENT_OVERHEAD_BYTES
        if batch and (len(batch) == MAX_SEGMENTS or size + segment_bytes > MAX_SEGMENTS_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(segment)
        size += segment_bytes
    if batch:
        yield batch
