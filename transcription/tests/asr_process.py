"""The embedded recogniser as a process of its own, the way `serve` runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

STOP_TIMEOUT_S = 10


@dataclass(frozen=True, slots=True)
class AsrProcess:
    """A running recogniser. Closing `life_fd` ends it."""

    process: subprocess.Popen[str]
    port: int
    life_fd: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


@contextmanager
def running_asr_process(*arguments: str) -> Iterator[AsrProcess]:
    """Start `python -m transcription.asr_server` on a free port; wait until it listens; end it."""
    ear, life = os.pipe()
    command = [sys.executable, "-m", "transcription.asr_server", "--port", "0", "--watch-pipe", str(ear), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, pass_fds=(ear,))
    os.close(ear)
    try:
        if process.stderr is None:
            raise AssertionError("its messages were asked for")
        yield AsrProcess(process, _port(process.stderr), life)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        finally:
            process.kill()
            os.close(life)
            if process.stderr is not None:
                process.stderr.close()


def _port(messages: IO[str]) -> int:
    """The port it says it listens on."""
    for line in messages:
        entry = json.loads(line)
        if entry["event"] == "asr_server_listening":
            return int(entry["port"])
    raise AssertionError("the recogniser ended before it listened")
