"""What connections cost that say nothing."""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import Any

import uvloop
from websockets.asyncio.client import connect

from benchmarks.gateways import SPEECHSITE, running
from benchmarks.runner import GATEWAY_CPUS, TOOL_CPUS, Options, scripted_riva
from speechsite.config import BASE_DIR

CONNECTIONS = 1000
SETTLE_S = 3.0
MEASURED_S = 20.0
OPENING_AT_ONCE = 50
# They must not be sent away for saying nothing.
PATIENT = {"START_TIMEOUT_SECONDS": "600"}


def measure_idle(options: Options) -> dict[str, Any]:
    """Memory that so many idle connections take, and the processor time of the service with and without them."""
    gateway = replace(SPEECHSITE, settings=PATIENT)
    with (
        scripted_riva(options.interim_ms) as riva,
        running(gateway, riva=riva.address, cpus=GATEWAY_CPUS) as service,
    ):
        command = [sys.executable, "-m", "benchmarks.idle", "--port", str(service.port), "--key", service.key]
        time.sleep(SETTLE_S)
        empty = service.usage()
        time.sleep(MEASURED_S)
        before = service.usage()
        holder = subprocess.Popen(
            [*command, "--count", str(CONNECTIONS)],
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, TOOL_CPUS),
        )
        try:
            assert holder.stdout is not None
            if not holder.stdout.readline():
                raise RuntimeError("the connections did not open")
            time.sleep(SETTLE_S)
            opened = service.usage()
            time.sleep(MEASURED_S)
            after = service.usage()
        finally:
            holder.terminate()
            holder.wait()
    return {
        "connections": CONNECTIONS,
        "memory_mb": (after.rss_bytes - before.rss_bytes) / 1e6,
        "service_mb": after.rss_bytes / 1e6,
        "cpu_percent": (after.cpu_s - opened.cpu_s) / MEASURED_S * 100,
        "cpu_percent_without": (before.cpu_s - empty.cpu_s) / MEASURED_S * 100,
    }


async def hold(port: int, count: int, key: str) -> None:
    """Open connections and answer their pings, until cancelled."""
    opening = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(number: int) -> None:
        url = f"ws://127.0.0.1:{port}/api/v1/transcribe/idle-{os.getpid()}-{number}"
        async with opening:
            held = connect(url, additional_headers={"Authorization": f"Bearer {key}"}, compression=None)
            connection = await held.__aenter__()
            await connection.recv()
        opened.release()
        async for _ in connection:
            pass

    opened = asyncio.Semaphore(0)
    async with asyncio.TaskGroup() as connections:
        for number in range(count):
            connections.create_task(one(number))
        for _ in range(count):
            await opened.acquire()
        print("holding", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--key", required=True)
    arguments = parser.parse_args()
    uvloop.run(hold(arguments.port, arguments.count, arguments.key))


if __name__ == "__main__":
    main()
