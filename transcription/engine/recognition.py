"""The line between a live transcription and whatever recognises: an open stream and what it can promise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from transcription.options import TranscriptionConfig
from transcription.results import FinalResult, InterimResult, Progress

Result = InterimResult | FinalResult | Progress


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What results of a stream may be relied on for.

    settles: `audio_processed_ms` of finals and progress is a point that the recogniser has settled for good
    and from which a replay is exact. word_times: words carry real times, not estimates.
    """

    settles: bool = False
    word_times: bool = True


class RecognitionStream(Protocol):
    """One open streaming recognition. Every method but cancel may raise a TranscriptionError (mapped).

    config: the options as the recogniser was given them, its known defaults written out.
    """

    config: TranscriptionConfig
    capabilities: Capabilities
    recogniser: str
    model: str

    def send(self, chunk: bytes) -> Awaitable[None]:
        """Send audio. Waits while the recogniser takes no more; never wrap it in a timeout (that ends the call)."""

    def send_now(self, chunk: bytes) -> bool:
        """Send audio if that takes no waiting; False: nothing of it was sent. Raises nothing."""
        ...

    async def end_utterance(self) -> None:
        """Ask for a final of what was said so far; the stream stays open."""

    async def half_close(self) -> None:
        """No more audio; results still come. Calling it again does nothing."""

    async def hear(self, take: Callable[[Result], None]) -> None:
        """Give take every result, in order, times shifted to the session's audio; until the recogniser ended OK.

        What take raises ends the stream and is raised here.
        """

    def last_interim(self) -> InterimResult | None:
        """The newest interim result with its words, whatever the options say of them; None if there was none."""

    def cancel(self) -> None:
        """End the stream at once and free everything it holds. Safe at any time, any number of times."""


class Recogniser(Protocol):
    """Opens streams; shared by all sessions of a process."""

    def check(self) -> None:
        """Raises the TranscriptionError that a new session is to be told while opening is known to be in vain."""

    async def open(self, config: TranscriptionConfig, *, base_ms: int = 0) -> RecognitionStream:
        """Open a stream whose first byte is at base_ms of the session.

        Returns once the recogniser took the config. Raises a TranscriptionError within the open timeout.
        """
        ...
