"""Operators who watch the live page while a service is measured: their sockets read everything they are sent.

python -m benchmarks.viewers --port 8000 --count 20 --cookie sessionid=...
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator

from websockets.asyncio.client import connect

from speechsite.config import BASE_DIR

OPEN_TIMEOUT_S = 20.0
# A large screen shows 20 of them, and the page asks for a screen's half above and below.
ROWS_IN_SIGHT = 40


async def watch(port: int, count: int, cookie: str) -> None:
    """Watch until cancelled. Prints a line once all have their first frame."""
    url = f"ws://127.0.0.1:{port}/ws/console/"
    origin = f"http://127.0.0.1:{port}"
    seen = asyncio.Semaphore(0)

    async def one() -> None:
        async with connect(
            url, additional_headers={"Cookie": cookie, "Origin": origin}, compression=None, max_size=None
        ) as viewer:
            in_sight: list[str] = []
            async for frame in viewer:
                if not in_sight:
                    seen.release()
                if len(in_sight) >= ROWS_IN_SIGHT:
                    continue
                # As the page does it: what is on the screen.
                in_sight = [row["session_id"] for row in json.loads(frame).get("sessions", ())] + in_sight
                await viewer.send(json.dumps({"type": "in_sight", "session_ids": in_sight[:ROWS_IN_SIGHT]}))

    async with asyncio.TaskGroup() as viewers:
        for _ in range(count):
            viewers.create_task(one())
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            for _ in range(count):
                await seen.acquire()
        print("watching", flush=True)


@contextlib.contextmanager
def watching(port: int, cookie: str, count: int, cpus: set[int]) -> Iterator[None]:
    """So many viewers, in a process of their own."""
    if not count:
        yield
        return
    command = [sys.executable, "-m", "benchmarks.viewers", "--port", str(port), "--count", str(count)]
    process = subprocess.Popen(
        [*command, "--cookie", cookie],
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, cpus),
    )
    assert process.stdout is not None
    try:
        if not process.stdout.readline():
            raise RuntimeError("the viewers did not get in")
        yield
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.viewers")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--cookie", required=True)
    arguments = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watch(arguments.port, arguments.count, arguments.cookie))


if __name__ == "__main__":
    main()
