"""The recognisers and the service that are to be broken, each in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

from speechsite.config import BASE_DIR
from transcription.fake_riva.audio import word_numbers

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 20.0


class FakeRivaProcess:
    """`manage.py fake_riva`, always at the same port, its finals in one log however often it dies."""

    def __init__(self, folder: Path, name: str, *script: str) -> None:
        self.port = 0
        self._log = folder / f"{name}.finals.jsonl"
        self._output = folder / f"{name}.log"
        self._script = script
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        arguments = [str(BASE_DIR / "manage.py"), "fake_riva", "--port", str(self.port), "--log", str(self._log)]
        for setting in self._script:
            arguments += ["--script", setting]
        with self._output.open("a") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=output
            )
        assert self._process.stdout is not None  # it was asked for
        async with asyncio.timeout(START_TIMEOUT_S):
            line = (await self._process.stdout.readline()).decode()
        if not line:
            raise RuntimeError(f"the fake Riva did not start:\n{self._output.read_text()}")
        self.port = int(line.rpartition(":")[2])

    def send_signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        await self._ended()

    async def stop(self) -> None:
        self.send_signal(signal.SIGCONT)
        self.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self._ended(), STOP_TIMEOUT_S)
        except TimeoutError:
            await self.kill()

    def words_heard(self) -> set[int]:
        """Numbers of all words in finals."""
        return {number for text in self._final_texts() for number in word_numbers(text)}

    async def _ended(self) -> None:
        if self._process is not None:
            await self._process.wait()

    def _final_texts(self) -> Iterator[str]:
        if not self._log.exists():
            return
        for line in self._log.read_text().splitlines():
            # The last line before a kill may be half a line.
            with contextlib.suppress(json.JSONDecodeError):
                yield json.loads(line)["text"]


def memory_bytes(pid: int) -> int:
    """Resident memory of a process; 0 for one that is gone, or where the system does not say."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def open_files(pid: int, path: str = "") -> int:
    """How many files and sockets a process has open; only those of a path that is given."""
    try:
        numbers = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return 0
    return len(numbers) if not path else sum(_link(pid, number) == path for number in numbers)


def _link(pid: int, number: str) -> str:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}")
    except OSError:
        return ""


def threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return 0
