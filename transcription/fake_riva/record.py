"""What the fake Riva remembers of a stream."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Outcome = Literal["open", "ended", "aborted", "cancelled"]


@dataclass(slots=True)
class StreamRecord:
    """What one stream received and gave, as it happens. number: of the stream, from 0. finals: their texts.
    config: StreamingRecognitionConfig.

    A client that cancels while it is read from may show as half-closed and ended: gRPC sometimes tells of the
    end of its audio first.
    """

    number: int
    metadata: dict[str, str]
    config: Any = None
    audio_bytes: int = 0
    finals: list[str] = field(default_factory=list)
    interims: int = 0
    forced_ends: int = 0
    half_closed: bool = False
    outcome: Outcome = "open"
