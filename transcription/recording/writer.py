"""The thread of a process that writes its sessions' audio. A disk that is slow or full holds up nobody but itself."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import BinaryIO

import structlog

from transcription import metrics
from transcription.audio.formats import AudioFormat
from transcription.recording.parts import NO_ROOM, PartFolder
from transcription.recording.tape import Budget, Problem, Tape

log = structlog.get_logger(__name__)

WRITE_EVERY_S = 0.5
# Asking how much room the disk has costs a system call.
LOOK_FOR_ROOM_EVERY = 10
JOIN_TIMEOUT_S = 5.0


class TapeWriter:
    """Begins with the first session. Every tape is visited each write_every_s, and once more when it is closed.

    on_stopped: told, on that thread, the key of a session whose audio is written no further, and why.
    write_every_s: 0: there is no thread, the caller calls write_all().
    """

    def __init__(
        self,
        folder: PartFolder,
        *,
        on_stopped: Callable[[int, Problem], None],
        write_every_s: float = WRITE_EVERY_S,
        budget: Budget | None = None,
    ) -> None:
        self._folder = folder
        self._write_every_s = write_every_s
        self._budget = budget or Budget()
        self._on_stopped = on_stopped
        self._stopped: set[Tape] = set()
        self._files: dict[Tape, BinaryIO | None] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._rounds = 0

    def new_tape(self, audio_format: AudioFormat, *, start: int = 0) -> Tape:
        return Tape(audio_format, self._budget, self._adopt, start=start)

    def _adopt(self, tape: Tape) -> None:
        with self._lock:
            self._files[tape] = None
            if self._thread is None and self._write_every_s and not self._closing.is_set():
                self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
                self._thread.start()

    def close(self) -> None:
        """Write what is left of every tape and end; waits JOIN_TIMEOUT_S at most. May block: not for the loop."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join(JOIN_TIMEOUT_S)

    def _run(self) -> None:
        while not self._closing.wait(self._write_every_s):
            self.write_all()
        self.write_all()
        for tape in self._tapes():
            self._let_go(tape)

    def _tapes(self) -> list[Tape]:
        with self._lock:
            return list(self._files)

    def write_all(self) -> None:
        """One round. The writer's thread calls it; tests do in its place."""
        tapes = self._tapes()
        if self._rounds % LOOK_FOR_ROOM_EVERY == 0 and tapes and not self._has_room():
            for tape in tapes:
                self._fail(tape, "disk_full")
        self._rounds += 1
        for tape in tapes:
            # Before: what is added until then is written in this round.
            is_closed = tape.is_closed
            self._write(tape)
            if tape.problem is not None and tape not in self._stopped:
                self._stopped.add(tape)
                self._on_stopped(tape.pk, tape.problem)
            if is_closed:
                self._let_go(tape)

    def _has_room(self) -> bool:
        try:
            return self._folder.has_room()
        except OSError:
            # Writing itself will say what is wrong.
            return True

    def _write(self, tape: Tape) -> None:
        if tape.problem is not None:
            return
        audio = tape.take()
        if not audio:
            return
        try:
            self._append(tape, memoryview(audio))
        except OSError as error:
            self._fail(tape, "disk_full" if error.errno in NO_ROOM else "disk_error")
            log.warning("recording_stopped", folder=tape.folder, error=error.strerror)
        # After a failure it waits no longer either.
        tape.wrote(len(audio))

    def _append(self, tape: Tape, audio: memoryview) -> None:
        file = self._files.get(tape)
        if file is None:
            file = self._files[tape] = self._folder.open_new(tape.folder, tape.start, tape.epoch)
        while audio:
            written = file.write(audio)
            metrics.RECORDED_BYTES_TOTAL.inc(written)
            audio = audio[written:]

    def _fail(self, tape: Tape, problem: Problem) -> None:
        if tape.problem is None:
            tape.fail(problem)

    def _let_go(self, tape: Tape) -> None:
        self._stopped.discard(tape)
        with self._lock:
            file = self._files.pop(tape, None)
        if file is None:
            return
        try:
            with file:
                os.fsync(file.fileno())
        except OSError as error:
            log.warning("recording_not_synced", folder=tape.folder, error=error.strerror)
