"""The audio of one session as it comes in: what the client counts, what the recogniser gets. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from transcription.audio.formats import AudioFormat
from transcription.audio.head import HeadReader
from transcription.audio.levels import Level, measure_level
from transcription.engine.arrivals import Arrivals
from transcription.engine.replay import ReplayBuffer
from transcription.errors import TooFast
from transcription.events import WarningCode
from transcription.limits.rates import AudioRateWatch

# What may be held: 45 s that are not settled yet (listener.CUT_AFTER_S), 30 s of a lost recogniser, 15 s to spare.
RING_S = 90
# What a client may send past the settled audio; the difference is slack for clients that ignore it.
CREDIT_S = 80
# Where bytes say nothing about time, this many may wait to be sent.
CONTAINER_RING_BYTES = 1024 * 1024
CHUNK_MAX_BYTES = 64 * 1024
WARN_SILENCE_AFTER_S = 10.0


class Tape(Protocol):
    """What takes audio along while it is held."""

    def add(self, position: int, audio: bytes) -> None: ...


class Intake:
    """Counts, checks and holds a session's audio.

    Positions are audio bytes from 0, without a WAV header that was skipped; `*_on_wire` are the client's.
    start: where a session goes on that is taken up again, behind a header of header_bytes. settled: before that the
    audio is not needed by the recogniser.
    """

    __slots__ = (
        "_arrivals",
        "_capacity",
        "_credit",
        "_floor",
        "_head",
        "_held_by_head",
        "_measured",
        "_rate_watch",
        "_recorded",
        "_ring",
        "_silent_since_s",
        "_skipped",
        "_warned",
        "format",
        "level",
        "sent",
        "speech_until",
        "tape",
    )

    def __init__(self, audio_format: AudioFormat, *, start: int = 0, settled: int = 0, header_bytes: int = 0) -> None:
        self.format = audio_format
        # How far past the floor audio may be held, and how far the client is told that it may go.
        self._capacity = RING_S * audio_format.bytes_per_second or CONTAINER_RING_BYTES
        self._credit = CREDIT_S * audio_format.bytes_per_second or CONTAINER_RING_BYTES // 2
        self.level = Level()
        self.speech_until = start
        self.sent = max(start, settled)
        self._ring = ReplayBuffer(start)
        self._arrivals = Arrivals()
        # A client that begins anew sends its header again.
        self._head: HeadReader | None = None if start else HeadReader(audio_format)
        self._held_by_head = 0
        self._skipped = header_bytes if start else 0
        self._rate_watch = AudioRateWatch(audio_format.bytes_per_second)
        self._floor = self.sent
        self._measured = start
        self._silent_since_s: float | None = None
        self._warned: set[WarningCode] = set()
        # Where audio is kept: takes it along, from `_recorded` on.
        self.tape: Tape | None = None
        self._recorded = start

    # What came in

    @property
    def received(self) -> int:
        """Audio bytes here, the odd one at the end included."""
        return self._ring.end

    @property
    def header_bytes(self) -> int:
        """What was skipped before the audio."""
        return self._skipped

    @property
    def received_on_wire(self) -> int:
        return self._skipped + self._ring.end + self._held_by_head

    @property
    def received_ms(self) -> int:
        return self.format.bytes_to_ms(self.received)

    def on_wire(self, position: int) -> int:
        """A position of the audio as the client counts."""
        return position + self._skipped if position else 0

    def feed(self, chunk: bytes, now_s: float) -> Sequence[WarningCode]:
        """Take a client's bytes. Raises BadAudio for another format, TooFast past what can be held."""
        if self._ring.end + len(chunk) > self._floor + self._capacity:
            raise TooFast("More audio was sent than audio_ack.limit allows.")
        if self._head is None:
            self._arrivals.mark(self._ring.append(chunk), now_s)
            return ()
        return self._feed_head(chunk, now_s, last=False)

    def _feed_head(self, chunk: bytes, now_s: float, *, last: bool) -> list[WarningCode]:
        assert self._head is not None  # noqa: S101 - only called while the head is being read
        self._held_by_head += len(chunk)
        head = self._head.feed(chunk, last=last)
        if head is None:
            return []
        self._head, self._held_by_head, self._skipped = None, 0, head.skipped_bytes
        self._ring.append(head.audio)
        self._arrivals.mark(self._ring.end, now_s)
        return ["wav_header_skipped"] if head.skipped_bytes else []

    def finish(self, now_s: float) -> list[WarningCode]:
        """No more audio will come. An incomplete sample at the end is dropped, with a warning."""
        warnings = self._feed_head(b"", now_s, last=True) if self._head is not None else []
        if self.received != self.format.align(self.received):
            warnings.append("odd_bytes")
        return warnings

    # Credit

    @property
    def limit(self) -> int:
        """The client should not send past this position yet."""
        return self._floor + self._credit

    @property
    def limit_on_wire(self) -> int | None:
        """The limit as the client counts; None where bytes say nothing about time."""
        return self.limit + self._skipped if self.format.has_constant_rate else None

    def has_room_for(self, size_bytes: int) -> bool:
        return self._ring.end + self._held_by_head + size_bytes <= self._floor + self._credit

    def settle(self, settled: int) -> None:
        """Forget audio that is not needed again. settled: the watermark's position."""
        self._floor = max(self._floor, min(settled, self.sent)) if self.format.has_constant_rate else self.sent
        if self.tape is not None and self._recorded < self._floor:
            self.record()
        self._ring.trim(self._floor)
        self._arrivals.settle(self._floor)

    def record(self) -> None:
        """Hand what came since the last time to the tape."""
        if self.tape is not None and self._ring.end > self._recorded:
            self.tape.add(self._recorded, self._ring.read(self._recorded, self._ring.end))
            self._recorded = self._ring.end

    @property
    def floor(self) -> int:
        """Audio before this position is not needed again; what follows is held."""
        return self._floor

    @property
    def unsettled_s(self) -> float:
        """Audio that was sent and is not settled, in seconds; 0.0 where bytes say nothing about time."""
        return (self.sent - self._floor) / self.format.bytes_per_second if self.format.has_constant_rate else 0.0

    def rewind(self) -> None:
        """A new stream of the recogniser hears the audio from the floor on."""
        self.sent = self._floor

    # What goes out

    @property
    def has_unsent(self) -> bool:
        return self.format.align(self.received) > self.sent

    def take_chunk(self, at_most: int = CHUNK_MAX_BYTES) -> bytes:
        """All whole samples that were not sent yet, at most so many bytes; empty if there are none."""
        audio_format, sent = self.format, self.sent
        end = audio_format.align(self._ring.end)
        if end <= sent:
            return b""
        if end - sent > at_most:
            end = min(end, sent + max(audio_format.align(at_most), audio_format.bytes_per_sample_set))
        chunk = self._ring.read(sent, end)
        self.sent = end
        if not audio_format.has_constant_rate:
            self.settle(0)
        return chunk

    # What can be said about it

    def age_s(self, position: int, now_s: float) -> float | None:
        """How long ago the audio before a position was here; None if it is not, or is forgotten."""
        return self._arrivals.age_s(position, now_s)

    def measure(self, now_s: float) -> list[WarningCode]:
        """Measure the audio since the last call. Returns warnings that are new."""
        first, last = max(self._measured, self._ring.start), self.format.align(self.received)
        self._measured = last
        level = measure_level(self._ring.read(first, last), self.format) if last > first else None
        if level is None:
            self.level = Level()
            self.speech_until = self.received if last > first else self.speech_until
            return self._watch_rate(now_s)
        self.level = level
        if level.has_speech_energy:
            self.speech_until = last
        return [*self._watch_level(level, now_s), *self._watch_rate(now_s)]

    def _watch_level(self, level: Level, now_s: float) -> list[WarningCode]:
        if not level.is_silent:
            self._silent_since_s = None
            self._warned.discard("silence")
        elif self._silent_since_s is None:
            self._silent_since_s = now_s
        elif now_s - self._silent_since_s >= WARN_SILENCE_AFTER_S:
            return self._warn_once("silence")
        return self._warn_once("clipping") if level.is_clipping else []

    def _watch_rate(self, now_s: float) -> list[WarningCode]:
        if not self.received or self._rate_watch.measure(self.received, now_s) is None:
            return []
        return self._warn_once("rate_mismatch")

    def _warn_once(self, code: WarningCode) -> list[WarningCode]:
        if code in self._warned:
            return []
        self._warned.add(code)
        return [code]
