"""A whole service as a person starts it: `manage.py serve` in a process of its own, with data of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from speechsite.config import BASE_DIR

START_TIMEOUT_S = 90.0
EVENT_TIMEOUT_S = 60.0
POLL_S = 0.05
LISTENING = "Listening on "


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = EVENT_TIMEOUT_S) -> None:
    """Poll other processes' state; there is no event of theirs to wait for."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s:g} s: {what}")
        time.sleep(POLL_S)


def manage(*arguments: str, data_dir: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a management command to its end."""
    return subprocess.run(
        [sys.executable, BASE_DIR / "manage.py", *arguments],
        env=environment(data_dir, settings),
        capture_output=True,
        text=True,
        timeout=START_TIMEOUT_S,
        check=False,
    )


def environment(data_dir: Path, settings: dict[str, str]) -> dict[str, str]:
    return {**os.environ, "DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1", **settings}


@dataclass(frozen=True)
class Running:
    pid: int
    parent: int
    command: str


def processes() -> list[Running]:
    """Every process that still runs; one that only waits to be collected does not."""
    listing = subprocess.run(
        ["ps", "-axwwo", "pid=,ppid=,stat=,command="],  # noqa: S607 - where it lies differs between systems
        capture_output=True,
        text=True,
        check=True,
    )
    rows = (line.split(maxsplit=3) for line in listing.stdout.splitlines())
    return [Running(int(row[0]), int(row[1]), row[3]) for row in rows if len(row) == 4 and "Z" not in row[2]]


class Served:
    """`manage.py serve` on a free port. What it prints is in `output`, its address in `url`."""

    def __init__(self, data_dir: Path, *arguments: str, **settings: str) -> None:
        self.data_dir = data_dir
        self.url = ""
        self._arguments = arguments
        self._settings = settings
        self._log = data_dir / "serve.log"

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, BASE_DIR / "manage.py", "serve", "--port", "0", *self._arguments],
                env=environment(self.data_dir, self._settings),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(self._is_listening, "the service is up", START_TIMEOUT_S)
        except AssertionError as error:
            self.process.kill()
            raise AssertionError(f"{error}\n{self.output}") from None
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(EVENT_TIMEOUT_S)

    def _is_listening(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"`serve` ended with {self.process.returncode}")
        for line in self.output.splitlines():
            if line.startswith(LISTENING):
                self.url = line.removeprefix(LISTENING).rstrip("/")
                return True
        return False

    @property
    def output(self) -> str:
        return self._log.read_text()

    def children(self, module: str) -> list[int]:
        """Process ids of the children that run a module, such as `speechsite.server`."""
        return [
            running.pid
            for running in processes()
            if running.parent == self.process.pid and f"-m {module}" in running.command
        ]

    def get(self, path: str, **headers: str) -> tuple[int, str]:
        """Status and body; 0 where no answer came."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, headers=named)  # noqa: S310 - our own address
        try:
            with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def is_ready(self) -> bool:
        return self.get("/readyz")[0] == 200

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end. Returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(EVENT_TIMEOUT_S)
