"""What an endpoint may subscribe to."""

from __future__ import annotations

from enum import StrEnum

from transcription.models import TranscriptionSession

State = TranscriptionSession.State


class EventType(StrEnum):
    """The `type` of an event. ENDPOINT_TEST is sent when somebody asks for it, whatever is subscribed to."""

    SESSION_COMPLETED = "session.completed"
    SESSION_FAILED = "session.failed"
    SEGMENT_FINAL = "segment.final"
    ENDPOINT_TEST = "endpoint.test"


SUBSCRIBABLE = (EventType.SESSION_COMPLETED, EventType.SESSION_FAILED, EventType.SEGMENT_FINAL)

# Interrupted: the connection was lost for good, or nobody resumed it in time. The transcript may lack its end, so a
# receiver that waits for complete ones must not take it for completed.
TYPE_OF_END = {
    State.COMPLETED: EventType.SESSION_COMPLETED,
    State.INTERRUPTED: EventType.SESSION_FAILED,
    State.FAILED: EventType.SESSION_FAILED,
}
