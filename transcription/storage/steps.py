"""What the live path hands to the store: plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from transcription.errors import SessionTaken
from transcription.identity.principals import Principal
from transcription.options import TranscriptionConfig


class Fenced(SessionTaken):
    """The session is no longer this holder's: another connection took it, it has ended, or it was deleted.

    The holder stops at once and writes nothing more.
    """

    default_reason = "taken_over"


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that wants to start. asked: the options as the client gave them; applied: with every default.

    resume_token_digest: SHA-256, in hex, of the token that takes the session up again; "" where it cannot be.
    """

    public_id: str
    principal: Principal
    client_address: str | None
    user_agent: str
    dialect: str
    asked: dict[str, Any]
    applied: TranscriptionConfig
    resume_token_digest: str = ""


@dataclass(frozen=True, slots=True)
class SessionHandle:
    """The right to write a session, good for one epoch."""

    pk: int
    public_id: str
    epoch: int
    next_seq: int
    committed_bytes: int
    created_at: datetime


def count_words(text: str, words: list[dict[str, Any]]) -> int:
    """How many words a segment has; words: its entries with times, where the recogniser gives them."""
    return len(words) or len(text.split())


@dataclass(frozen=True, slots=True)
class NewSegment:
    """A final result to store. text is clean (options.clean_text); words and alternatives are JSON objects."""

    index: int
    start_ms: int
    end_ms: int
    text: str
    words: list[dict[str, Any]] = field(default_factory=list)
    alternatives: list[dict[str, Any]] = field(default_factory=list)
    confidence: float | None = None
    speaker: str = ""
    language: str = ""
    channel: int | None = None
    tail: bool = False
    promoted: bool = False

    @property
    def word_count(self) -> int:
        return count_words(self.text, self.words)


@dataclass(frozen=True, slots=True)
class Step:
    """Segments and the watermark that move together. segments may be empty: silence moves the watermark too.

    The segments' indexes run from expected_seq without a hole. committed_bytes and header_bytes never move back.
    """

    pk: int
    epoch: int
    expected_seq: int
    segments: tuple[NewSegment, ...]
    committed_bytes: int
    header_bytes: int = 0

    def __post_init__(self) -> None:
        _check_indexes(self.segments, self.expected_seq)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection let go of a session. reason: a stable word, at most 40 characters; message: for people.

    detached: it may be taken up again for resume_within_s. tails: segments of the flush, cut off rather than
    finished; they cover the audio before flushed_bytes until somebody takes the session up again.
    """

    state: Literal["completed", "interrupted", "failed", "detached"]
    reason: str
    message: str = ""
    audio_bytes: int = 0
    audio_ms: int = 0
    first_interim_ms: int | None = None
    final_lag_p50_ms: int | None = None
    final_lag_p95_ms: int | None = None
    tails: tuple[NewSegment, ...] = ()
    flushed_bytes: int = 0
    resume_within_s: float = 0.0

    def __post_init__(self) -> None:
        if self.tails and self.state not in ("detached", "interrupted"):
            raise ValueError(f"a session that is {self.state} has no tails")
        if not all(segment.tail for segment in self.tails):
            raise ValueError("only tails are stored with an end")
        if self.tails:
            _check_indexes(self.tails, self.tails[0].index)


@dataclass(frozen=True, slots=True)
class Resume:
    """A connection that wants to take a session up again.

    token_digest: SHA-256, in hex, of the token it shows. received_segments: how many finals its client holds, None
    for none. held_from: the first byte its client can still send, as the client counts (a WAV header included);
    None: everything that is not settled. max_age_s: how long a session may last from its first start.
    """

    public_id: str
    principal: Principal
    token_digest: str
    received_segments: int | None
    held_from: int | None
    client_address: str | None
    user_agent: str
    max_age_s: float


@dataclass(frozen=True, slots=True)
class StoredSegment:
    """A committed segment as the recogniser gave it."""

    index: int
    start_ms: int
    end_ms: int
    text: str
    words: list[dict[str, Any]]
    alternatives: list[dict[str, Any]]
    confidence: float | None
    language: str
    channel: int | None


@dataclass(frozen=True, slots=True)
class StoredEnd:
    """The end of a session that its client had completed before it lost the connection."""

    reason: str
    audio_ms: int
    audio_bytes: int
    segments: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A session that was taken up again.

    handle: with the new epoch, and committed_bytes after a gap was recorded. gaps: [start, end) in bytes of audio
    without the header. withdrawn: finals from handle.next_seq on that the client may hold do not count any more.
    segments: the committed ones that the client does not hold, in order. age_s: since the first start.
    audio_bytes: received so far. kept_bytes: how far its audio is kept, where it is; what follows is sent
    again, settled or not. ended: set where the client's own stop had completed the session; then nothing
    was changed and the handle gives no right to write.
    """

    handle: SessionHandle
    asked: dict[str, Any]
    applied: dict[str, Any]
    header_bytes: int
    gaps: tuple[tuple[int, int], ...]
    withdrawn: bool
    segments: tuple[StoredSegment, ...]
    age_s: float
    audio_bytes: int
    ended: StoredEnd | None = None
    kept_bytes: int | None = None

    @property
    def audio_offset(self) -> int:
        """From where the client sends again."""
        settled = self.handle.committed_bytes
        return settled if self.kept_bytes is None else min(self.kept_bytes, settled)


def _check_indexes(segments: tuple[NewSegment, ...], first: int) -> None:
    for offset, segment in enumerate(segments):
        if segment.index != first + offset:
            raise ValueError(f"segment {segment.index} where {first + offset} was expected")
