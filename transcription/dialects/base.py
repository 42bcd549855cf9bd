"""What a dialect is: messages in become commands, events become messages. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from transcription.commands import Command
from transcription.errors import TranscriptionError
from transcription.events import Event
from transcription.identity.principals import Principal


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


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client said before its connection was accepted.

    session_id: of the address, "" where it names none. query: the address's, undecoded. headers: by lower-case name.
    """

    session_id: str = ""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    subprotocols: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Denial:
    """An HTTP answer in place of a WebSocket. headers: as in ASGI, names in lower case."""

    status: int
    body: bytes
    headers: Sequence[tuple[bytes, bytes]] = ((b"content-type", b"application/json"),)


class Dialect(Protocol):
    """One connection's grammar. Methods that read raise a TranscriptionError for what is not allowed.

    name: stored with the session. has_credit: whether its clients respect audio_ack.limit; those that hear of none
    are slowed down by not reading, and never told that they are too fast while that helps.
    can_resume: whether a client may come back to a session that lost its connection. closing_stops: whether a client
    that closes its connection in order has stopped its session by that.
    """

    name: str
    has_credit: bool
    can_resume: bool
    closing_stops: bool

    @staticmethod
    def credential_of(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
        """The key or token that was offered; None where there is none, and a cookie may count."""
        ...

    def __init__(self, handshake: Handshake, *, limits: DialectLimits, request_id: str) -> None: ...

    @property
    def session_id(self) -> str:
        """Of the session that this connection may start; asked for once `opened` was called."""
        ...

    @property
    def subprotocol(self) -> str | None:
        """The subprotocol to select, if the client offered ours."""
        ...

    @property
    def start_timeout_ms(self) -> int:
        """How long a client may take to start a session."""
        ...

    @property
    def idle_timeout_ms(self) -> int:
        """How long a session may hear neither audio nor a keepalive."""
        ...

    def refusal(self) -> TranscriptionError | None:
        """Why this handshake is refused, whoever comes with it."""
        ...

    def denial(self, error: TranscriptionError) -> Denial | None:
        """How an error is told in the handshake; None: the connection is accepted, told and closed."""
        ...

    def opened(self, principal: Principal) -> Sequence[str]:
        """Messages to send as soon as the connection is accepted."""
        ...

    def on_text(self, text: str) -> Sequence[Command]: ...

    def on_binary(self, chunk: bytes) -> Sequence[Command]: ...

    def start_timed_out(self) -> TranscriptionError:
        """What a client is told that takes longer than start_timeout_ms."""
        ...

    def is_fatal(self, error: TranscriptionError) -> bool:
        """Whether this error of the client's ends the connection."""
        ...

    def render(self, event: Event) -> Sequence[str]:
        """The messages that tell an event."""
        ...

    def close_code(self, error: TranscriptionError | None) -> int:
        """None: the end the client asked for."""
        ...

    def close_reason(self, error: TranscriptionError | None) -> str:
        """What stands beside the code; "" where the error message says it all."""
        ...


@runtime_checkable
class PlainDialect(Protocol):
    """A dialect with credit whose audio comes as it is, and may go to the session past its commands."""

    def is_plain_audio(self, size_bytes: int) -> bool:
        """Whether a binary message of this size is audio for the session now, and nothing else has to happen."""
        ...


@runtime_checkable
class WishingDialect(Protocol):
    """A dialect whose options are known in the handshake, which is refused where they cannot be had."""

    @property
    def wish(self) -> dict[str, Any]:
        """Fields of the config."""
        ...


@runtime_checkable
class TickingDialect(Protocol):
    """A dialect that also says things because time passes or the recogniser hears nothing."""

    def tick(self, *, heard_ms: int, now_s: float) -> Sequence[str]:
        """Called a few times a second while a session is live and its client was told everything.

        heard_ms: audio the recogniser has answered.
        """
        ...
