"""One run: a gateway, the scripted Riva and the load client, each in processes of their own, on cores of their own."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import psutil

from benchmarks.gateways import Gateway, Running, running
from benchmarks.viewers import watching
from speechsite.config import BASE_DIR

LOAD_TIMEOUT_S = 240.0
SETTLE_S = 1.0
GATEWAY_CPUS, TOOL_CPUS = {0}, {1}


@dataclass(frozen=True)
class Options:
    """What is spoken, and how long. database: sqlite or postgres, which `scripts/with-services` started."""

    database: str = "sqlite"
    seconds: float = 10.0
    warm_up_s: float = 4.0
    chunk_ms: int = 100
    interim_ms: int = 100
    viewers: int = 1


Measured = dict[str, Any]


def measure_once(gateway: Gateway, streams: int, options: Options) -> Measured:
    database_url = os.environ["TEST_DATABASE_URL"] if options.database == "postgres" else ""
    redis_url = os.environ["TEST_REDIS_URL"] if options.database == "postgres" else ""
    if gateway.protocol == "native":
        # The service is told in which steps its recogniser hears, as one who runs it would.
        gateway = replace(gateway, settings={"RIVA_CHUNK_MS": str(options.interim_ms), **gateway.settings})
    row: Measured = {"gateway": gateway.name, "streams": streams}
    with (
        scripted_riva(options.interim_ms) as riva,
        running(
            gateway, riva=riva.address, cpus=GATEWAY_CPUS, database_url=database_url, redis_url=redis_url
        ) as service,
    ):
        viewers = options.viewers if gateway.protocol == "native" else 0
        with watching(service.port, service.cookie, viewers, TOOL_CPUS):
            time.sleep(SETTLE_S)
            row |= speak(gateway, service, riva, streams, options)
    row |= riva.own
    return row


def speak(gateway: Gateway, service: Running, riva: ScriptedRiva, streams: int, options: Options) -> Measured:
    """Run the load client and account for the time that it measures."""
    before = service.usage()
    command = [sys.executable, "-m", "benchmarks.load", "--protocol", gateway.protocol, "--port", str(service.port)]
    command += ["--streams", str(streams), "--chunk-ms", str(options.chunk_ms), "--key", service.key]
    command += ["--interim-ms", str(options.interim_ms)]
    command += ["--warm-up", str(options.warm_up_s), "--seconds", str(options.seconds)]
    client = subprocess.Popen(
        command,
        cwd=BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, TOOL_CPUS),
    )
    assert client.stdout is not None
    marks = []
    last = ""
    for line in client.stdout:
        last = line.strip()
        if last in ("measuring", "measured"):
            marks.append((service.usage(), riva.cpu_s(), time.monotonic()))
    client.wait(LOAD_TIMEOUT_S)
    if client.returncode or len(marks) != 2:
        return {"failure": last or f"the client ended with {client.returncode}", "latency_ms": {"p99": None}}
    (from_usage, from_riva_s, from_s), (to_usage, to_riva_s, to_s) = marks
    stream_seconds = streams * (to_s - from_s)
    measured: Measured = json.loads(last)
    if not measured["results"]:
        return {"failure": "no result came in time", "latency_ms": {"p99": None}}
    return measured | {
        "cpu_ms_per_stream_s": (to_usage.cpu_s - from_usage.cpu_s) * 1000 / stream_seconds,
        "riva_cpu_ms_per_stream_s": (to_riva_s - from_riva_s) * 1000 / stream_seconds,
        "idle_mb": before.rss_bytes / 1e6,
        "memory_mb_per_stream": (to_usage.rss_bytes - before.rss_bytes) / 1e6 / streams,
    }


class ScriptedRiva:
    """benchmarks.riva in a process of its own. own: its own time, once it has ended."""

    def __init__(self, interim_ms: int) -> None:
        self.own: Measured = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.riva", "--interim-ms", str(interim_ms)],
            cwd=BASE_DIR,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: os.sched_setaffinity(0, TOOL_CPUS),
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().split()[-1]

    def cpu_s(self) -> float:
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        self._process.terminate()
        output, _ = self._process.communicate(timeout=LOAD_TIMEOUT_S)
        self.own = {f"riva_own_{name}": value for name, value in json.loads(output.strip().splitlines()[-1]).items()}


@contextlib.contextmanager
def scripted_riva(interim_ms: int) -> Iterator[ScriptedRiva]:
    riva = ScriptedRiva(interim_ms)
    try:
        yield riva
    finally:
        riva.stop()
