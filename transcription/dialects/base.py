"""What a dialect is: messages in become commands, events become messages. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from transcription.commands import Command
from transcription.errors import TranscriptionError
from transcription.events import Event


@dataclass(frozen=True, slots=True)
class DialectLimits:
    """What every connection of this process may do; announced to clients that ask."""

    max_audio_message_bytes: int
    max_text_message_bytes: int
    max_messages_per_second: int
    start_timeout_ms: int
    idle_timeout_ms: int
    session_timeout_ms: int
    resume_window_ms: int
    max_sessions: int


class Dialect(Protocol):
    """One connection's grammar. Methods that read raise a TranscriptionError for what is not allowed."""

    name: str

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to select, if the client offered ours."""
        ...

    def opened(self) -> Sequence[str]:
        """Messages to send as soon as the connection is accepted."""
        ...

    def on_text(self, text: str) -> Sequence[Command]: ...

    def on_binary(self, chunk: bytes) -> Sequence[Command]: ...

    def is_fatal(self, error: TranscriptionError) -> bool:
        """Whether this error of the client's ends the connection."""
        ...

    def render(self, event: Event) -> Sequence[str]:
        """The messages that tell an event."""
        ...

    def close_code(self, error: TranscriptionError | None) -> int:
        """None: the end the client asked for."""
        ...
