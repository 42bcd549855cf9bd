"""What one connection hands to the writer of its process: audio in order, with a bound. Two threads share it.

The loop's thread adds, and never waits; the writer's thread takes. Both are single steps of the interpreter.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Literal

from transcription.audio.formats import AudioFormat
from transcription.engine.intake import CONTAINER_RING_BYTES, RING_S
from transcription.recording.parts import folder_name
from transcription.storage.steps import SessionHandle

Problem = Literal["disk_full", "disk_slow", "disk_error"]

# Twice what a client may send at once.
MAX_UNWRITTEN_S = 2 * RING_S
MAX_UNWRITTEN_CONTAINER_BYTES = 4 * CONTAINER_RING_BYTES
# Of all sessions of a process.
MAX_UNWRITTEN_BYTES = 128 * 1024 * 1024


class Budget:
    """How much audio of a process waits for its disk. added: written by the loop alone; written: by the writer."""

    __slots__ = ("added", "max_bytes", "written")

    def __init__(self, max_bytes: int = MAX_UNWRITTEN_BYTES) -> None:
        self.max_bytes = max_bytes
        self.added = 0
        self.written = 0

    @property
    def is_spent(self) -> bool:
        return self.added - self.written > self.max_bytes


class Tape:
    """Audio of one session from a position on.

    on_begin: told once it has a row; folder: of its parts, known from then on. problem: why nothing is
    written any more; what was written stays. start: where its audio begins; written_to: what comes before is written,
    and stays if this process dies.
    """

    __slots__ = (
        "_added",
        "_budget",
        "_max_bytes",
        "_on_begin",
        "_pieces",
        "_taken",
        "epoch",
        "folder",
        "is_closed",
        "pk",
        "problem",
        "start",
        "written_to",
    )

    def __init__(
        self, audio_format: AudioFormat, budget: Budget, on_begin: Callable[[Tape], None], *, start: int = 0
    ) -> None:
        self.folder = ""
        self.pk = self.epoch = 0
        self.start = self.written_to = start
        self.is_closed = False
        self.problem: Problem | None = None
        self._budget = budget
        self._on_begin = on_begin
        self._pieces: deque[bytes] = deque()
        self._added = self._taken = 0
        rate = audio_format.bytes_per_second
        self._max_bytes = MAX_UNWRITTEN_S * rate if rate else MAX_UNWRITTEN_CONTAINER_BYTES

    # The loop's side

    def begin(self, handle: SessionHandle) -> None:
        """The session has its row: from now on its audio is written."""
        self.pk, self.epoch = handle.pk, handle.epoch
        self.folder = folder_name(handle.pk, handle.created_at)
        self._on_begin(self)

    def add(self, position: int, audio: bytes) -> None:
        """Audio that follows what was added before. It is dropped where nothing is written any more."""
        if self.problem is not None or not audio:
            return
        self._added += len(audio)
        self._budget.added += len(audio)
        self._pieces.append(audio)
        if self._added - self._taken > self._max_bytes or self._budget.is_spent:
            self.fail("disk_slow")

    def close(self) -> None:
        """Nothing more comes."""
        self.is_closed = True

    # The writer's side

    def take(self) -> bytes:
        """Everything that was added and not taken yet."""
        pieces = []
        while self._pieces:
            try:
                pieces.append(self._pieces.popleft())
            except IndexError:
                # The other thread has dropped it all.
                break
        audio = b"".join(pieces)
        self._taken += len(audio)
        return audio

    def wrote(self, size_bytes: int) -> None:
        self.written_to += size_bytes
        self._budget.written += size_bytes

    # Both

    def fail(self, problem: Problem) -> None:
        """Give up; what waits is dropped. The first problem counts."""
        if self.problem is None:
            self.problem = problem
        while self._pieces:
            try:
                self._budget.written += len(self._pieces.popleft())
            except IndexError:
                break
