"""A load client that costs little: real-time audio on many WebSockets, and when each result of it came back.

    python -m benchmarks.load --protocol native --port 8000 --streams 100 --key KEY

Audio is one frame that is built once; every stream begins at a phase of its own, and ends its utterances at one. Added
latency of a result: from the last byte of the audio that it covers being handed to the kernel to the result being
parsed here. Prints one JSON document.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

import uvloop

from benchmarks.precise_timer import PreciseTimer
from benchmarks.speakers import PROTOCOLS, Heard, Load, Speaker

CONNECT_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0
# Streams begin spread over this time, in which the scripted Riva gives each a final: people do not all end their
# sentences in the same tenth of a second.
BEGIN_WITHIN_S = 2.0
# Connections are opened so many at a time: what is measured is speaking, not knocking.
OPENING_AT_ONCE = 16


async def run(load: Load, protocol: type[Speaker], tell: Callable[[str], None]) -> dict[str, Any]:
    """Speak, listen, and return what was measured. tell: hears "measuring" and "measured" as they happen."""
    loop = asyncio.get_running_loop()
    heard = Heard()
    speakers = [protocol(number, load, heard, time.monotonic) for number in range(load.streams)]
    opening = asyncio.Semaphore(OPENING_AT_ONCE)

    async def open_one(speaker: Speaker) -> None:
        async with opening:
            await loop.create_connection(lambda: speaker, load.host, load.port)
            await speaker.ready

    async with asyncio.timeout(CONNECT_TIMEOUT_S):
        opened = await asyncio.gather(*map(open_one, speakers), return_exceptions=True)
    refused = [result for result in opened if isinstance(result, BaseException)]
    if refused:
        raise RuntimeError(f"{len(refused)} of {load.streams} streams did not open: {refused[0]}")
    speaking = Speaking(speakers, load)
    begin_s, end_s = speaking.start(loop)
    await asyncio.sleep(begin_s - time.monotonic())
    tell("measuring")
    cpu_before_s = _cpu_s()
    await asyncio.sleep(end_s - time.monotonic())
    tell("measured")
    cpu_s = _cpu_s() - cpu_before_s
    # What was spoken last still has its answers to come.
    await asyncio.sleep(load.chunk_ms / 1000 + 0.5)
    speaking.stop()
    for speaker in speakers:
        speaker.is_stopping = True
        speaker.stop()
    await asyncio.wait([speaker.closed for speaker in speakers], timeout=STOP_TIMEOUT_S)
    for speaker in speakers:
        speaker.check_finals()
    stream_seconds = load.streams * load.seconds
    latencies_s = heard.interims_s + heard.finals_s
    return {
        "streams": load.streams,
        "results": len(latencies_s),
        "results_per_stream_s": len(latencies_s) / stream_seconds,
        "latency_ms": percentiles_ms(latencies_s),
        "final_latency_ms": percentiles_ms(heard.finals_s),
        "lost_finals": heard.lost_finals,
        "repeated_finals": heard.repeated_finals,
        "errors": len(heard.errors),
        "first_error": heard.errors[0] if heard.errors else None,
        "client_cpu_ms_per_stream_s": cpu_s * 1000 / stream_seconds,
        "late_ms": percentiles_ms(speaking.late_s),
    }


class Speaking:
    """Sends every stream's chunks when they are due, from one timer."""

    def __init__(self, speakers: list[Speaker], load: Load) -> None:
        self._speakers = speakers
        self._chunk_s = load.chunk_ms / 1000
        self._load = load
        # How many chunks later than the first stream one may begin.
        self._latest = max(1, round(BEGIN_WITHIN_S / self._chunk_s))
        self._next = 0
        # How late each chunk was sent: this client's own trouble.
        self.late_s: list[float] = []

    def start(self, loop: asyncio.AbstractEventLoop) -> tuple[float, float]:
        """Returns the moments between which it is measured."""
        self._timer = PreciseTimer(loop, self._send)
        self._began_s = time.monotonic() + 0.05
        self._measured_from_s = self._began_s + self._load.warm_up_s
        ends_s = self._measured_from_s + self._load.seconds
        for speaker in self._speakers:
            speaker.measure(self._measured_from_s, ends_s)
        self._schedule()
        return self._measured_from_s, ends_s

    def stop(self) -> None:
        self._timer.close()

    def _due_s(self, number: int) -> float:
        """Chunks are due in turn, one stream after another, evenly over a chunk's time."""
        return self._began_s + number * self._chunk_s / len(self._speakers)

    def _schedule(self) -> None:
        self._timer.call_at(self._due_s(self._next))

    def _send(self) -> None:
        now_s = time.monotonic()
        while (due_s := self._due_s(self._next)) <= now_s:
            turn, number = divmod(self._next, len(self._speakers))
            if turn >= number % self._latest:
                self._speakers[number].send_chunk()
            if due_s >= self._measured_from_s:
                self.late_s.append(now_s - due_s)
            self._next += 1
        self._schedule()


def percentiles_ms(values_s: list[float]) -> dict[str, float | None]:
    ordered = sorted(values_s)
    if not ordered:
        return {"p50": None, "p95": None, "p99": None, "max": None}
    pick = {"p50": 0.50, "p95": 0.95, "p99": 0.99, "max": 1.0}
    return {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000 for name, share in pick.items()}


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load")
    parser.add_argument("--protocol", choices=sorted(PROTOCOLS), required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--chunk-ms", type=int, default=100)
    parser.add_argument("--interim-ms", type=int, default=100, help="as the scripted Riva was told")
    parser.add_argument("--warm-up", type=float, default=3.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--key", default="")
    arguments = parser.parse_args()
    load = Load(
        arguments.host,
        arguments.port,
        arguments.streams,
        arguments.chunk_ms,
        arguments.warm_up,
        arguments.seconds,
        arguments.key,
        arguments.interim_ms,
    )
    try:
        measured = uvloop.run(run(load, PROTOCOLS[arguments.protocol], lambda word: print(word, flush=True)))
    except (OSError, RuntimeError, TimeoutError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
