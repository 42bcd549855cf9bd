"""Why a session ends, and what follows from it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from transcription.errors import (
    AtCapacity,
    NotAuthenticated,
    SessionOver,
    StoppedByOperator,
    TimedOutClient,
    TranscriptionError,
)
from transcription.events import StopReason

STOP_FLUSH_S = 10.0
LOST_FLUSH_S = 5.0
# As long as the audio that may be held takes to be heard in real time.
MAX_FLUSH_S = 90.0
# Credentials are looked at every 30 s, and end their connections within 60 s.
MAX_REVOKED_FLUSH_S = 20.0
# A process that drains has 25 s for it all; what was not flushed by then is heard again where the client resumes.
MAX_DRAIN_FLUSH_S = 20.0
DRAINING_RETRY_AFTER_MS = 2000


@dataclass(frozen=True, slots=True)
class End:
    """How a connection lets go of a session.

    state: what the session becomes; detached: it may be taken up again, where its audio allows that; interrupted: it
    may not, though it is not complete. reason:
    stored. stopped: the session is complete and the client is told so. error: told to the client, after that.
    flush_s: how long the recogniser may be silent over the last words, 0 for none at all; max_flush_s: how long it
    may take for them all. tail: the words of the flush were cut off, not finished. expires_as: why the client is
    warned before that.
    """

    state: Literal["completed", "detached", "interrupted", "failed"]
    reason: str
    stopped: StopReason | None = None
    error: TranscriptionError | None = None
    flush_s: float = STOP_FLUSH_S
    max_flush_s: float = MAX_FLUSH_S
    tail: bool = False
    expires_as: Literal["draining"] | None = None

    @property
    def needs_recogniser(self) -> bool:
        """Whether it is worth waiting for a recogniser that is still being opened."""
        return self.flush_s > 0 and not self.tail


def client_stop() -> End:
    return End("completed", "client", stopped="client")


def session_timeout() -> End:
    return End(
        "completed",
        "session_timeout",
        stopped="session_timeout",
        error=SessionOver("The session reached its maximum length; its transcript is complete."),
    )


def operator_stop(reason: str) -> End:
    message = f"An operator stopped the session: {reason}" if reason else "An operator stopped the session."
    return End("completed", "operator", stopped="operator", error=StoppedByOperator(message))


def revoked(error: NotAuthenticated) -> End:
    """The key was revoked, or its user logged out: what was said until then is complete."""
    return End("completed", "revoked", stopped="revoked", error=error, max_flush_s=MAX_REVOKED_FLUSH_S)


def idle_timeout() -> End:
    error = TimedOutClient("Neither audio nor a keepalive came for too long.", reason="idle_timeout")
    return End("detached", "idle_timeout", error=error, flush_s=LOST_FLUSH_S, tail=True)


def client_lost() -> End:
    return End("detached", "client_lost", flush_s=LOST_FLUSH_S, tail=True)


def client_fault(error: TranscriptionError) -> End:
    """The client broke a rule that ends the session; what was said until then is kept."""
    return End("detached", error.reason, error=error, flush_s=LOST_FLUSH_S, tail=True)


def source_failed(error: TranscriptionError) -> End:
    """The audio of a file cannot be read any further; what was said until then is kept."""
    return End("interrupted", error.reason, error=error)


def cancelled() -> End:
    """Whoever asked for a file's transcript does not want it any more."""
    return End("interrupted", "cancelled", flush_s=LOST_FLUSH_S, tail=True)


def being_updated() -> AtCapacity:
    """What a client is told whose server ends; another one takes its session up."""
    return AtCapacity(
        "This server is being updated; please connect again.",
        reason="draining",
        retry_after_ms=DRAINING_RETRY_AFTER_MS,
    )


def draining() -> End:
    return End(
        "detached",
        "draining",
        error=being_updated(),
        flush_s=LOST_FLUSH_S,
        max_flush_s=MAX_DRAIN_FLUSH_S,
        tail=True,
        expires_as="draining",
    )


def failure(error: TranscriptionError, *, has_started: bool) -> End:
    """Our side failed, or the session is not ours any more: nothing can be flushed."""
    return End("detached" if has_started else "failed", error.reason, error=error, flush_s=0)
