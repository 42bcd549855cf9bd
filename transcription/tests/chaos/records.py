"""What clients sent and saw and what the database holds, as plain values for the checker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from transcription.fake_riva.audio import SpokenWord

ByteSpan = tuple[int, int]


@dataclass(frozen=True, slots=True)
class SeenFinal:
    """A final that the client was told is durable."""

    text: str
    start_ms: int
    end_ms: int
    tail: bool = False


@dataclass(slots=True)
class ClientRecord:
    """One session as its client knows it. Positions are bytes of its audio from the beginning, after any header.

    words: what its audio says, of what was sent before its end. finals: the durable ones that were not withdrawn.
    resumed_at: `next_segment` of each resume, in order. discarded: audio it forgot before it was safe.
    problems: what it saw that the protocol does not allow.
    """

    session_id: str
    words: Sequence[SpokenWord] = ()
    finals: dict[int, SeenFinal] = field(default_factory=dict)
    resumed_at: list[int] = field(default_factory=list)
    discarded: list[ByteSpan] = field(default_factory=list)
    sent_bytes: int = 0
    bytes_per_second: int = 32_000
    stopped: Mapping[str, Any] | None = None
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """text: what the recogniser said. words: (text, start_ms, end_ms)."""

    index: int
    epoch: int
    start_ms: int
    end_ms: int
    text: str
    words: tuple[tuple[str, int, int], ...] = ()
    tail: bool = False
    promoted: bool = False


@dataclass(frozen=True, slots=True)
class StoredSession:
    """segments: in order of their index. is_orphan: live for over a minute although its worker is dead."""

    session_id: str
    state: str
    epoch: int
    next_seq: int
    committed_bytes: int
    segments: tuple[StoredSegment, ...] = ()
    flushed_bytes: int = 0
    gaps: tuple[ByteSpan, ...] = ()
    is_orphan: bool = False


@dataclass(frozen=True, slots=True)
class Resources:
    """What the processes of a service hold, by name: tasks, streams, threads, connections, files, rss_bytes."""

    counts: Mapping[str, int]
    rss_bytes: int
