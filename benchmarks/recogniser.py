"""How many streams the embedded recogniser keeps up with, in real time.

    python -m benchmarks.recogniser --streams 1,2,4,8,12,16 --seconds 60

Recorded speech goes to `manage.py asr_server`, a process of its own bound to `--cores` cores, from gRPC clients in
this process on the cores that are left. Each stream plays the clips of the tests in a loop with a pause after each,
begins with another clip and at another moment, and sends 100 ms at a time at the pace of speech.

A final's delay is counted from the end of its last word, as the detector found it, so the 0.6 s of silence that end
an utterance are part of it. CPU time and memory are read from /proc: Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
from riva.client.proto import riva_asr_pb2, riva_asr_pb2_grpc

from speechsite.config import BASE_DIR
from speechsite.embedded import LOOPBACK, free_loopback_port, wait_until_it_answers
from transcription.tests.riva_streams import CHUNK_BYTES, streaming_config
from transcription.tests.speech_clips import Clip, load_clips
from transcription.tests.word_error_rate import word_error_rate

RESULTS = Path(__file__).parent / "results" / "recogniser.json"
BYTES_PER_SECOND = 32_000
CHUNK_S = CHUNK_BYTES / BYTES_PER_SECOND
PAUSE_S = 1.0
# Streams begin within this time of each other, and none is judged before all are under way.
SPREAD_S = 4.0
WARM_UP_S = 8.0
FINAL_WITHIN_S = 1.5
STOP_TIMEOUT_S = 10.0
NO_VALUE = float("nan")


@dataclass
class Heard:
    """What one stream was told. Times are seconds of its audio; a delay counts from when it was spoken."""

    references: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    final_delays_s: list[float] = field(default_factory=list)
    first_interim_delays_s: list[float] = field(default_factory=list)
    interim_ages_s: list[float] = field(default_factory=list)
    send_lateness_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Level:
    """One row of the table. real_time_factor: CPU time of the recogniser over the audio of all streams."""

    streams: int
    cpu_ms_per_stream_s: float
    real_time_factor: float
    core_share: float
    final_p50_s: float
    final_p95_s: float
    final_p99_s: float
    interims_per_s: float
    interim_age_p50_s: float
    first_interim_p50_s: float
    first_interim_p95_s: float
    word_error_rate: float
    memory_mb: float
    finals: int
    client_late_p99_s: float


class Player:
    """Plays clips into one call at the pace of speech, and notes what comes back while it is judged."""

    def __init__(self, call: Any, clips: Sequence[Clip], judged: tuple[float, float]) -> None:
        self._call = call
        self._clips = clips
        self._judged = judged
        self._loop = asyncio.get_running_loop()
        self._started_at = 0.0
        self._awaits_interim = True
        self.heard = Heard()

    async def play(self, config: riva_asr_pb2.StreamingRecognitionConfig) -> Heard:
        """Play until the judged time is over and the clip then playing is, and hear all of it out."""
        await self._call.write(riva_asr_pb2.StreamingRecognizeRequest(streaming_config=config))
        self._started_at = self._loop.time()
        reading = asyncio.create_task(self._read())
        async for pcm in self._chunks():
            await self._call.write(riva_asr_pb2.StreamingRecognizeRequest(audio_content=pcm))
        await self._call.done_writing()
        await reading
        return self.heard

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Each chunk once its last sample has been spoken."""
        rest, sent, number = b"", 0, 0
        while self._started_at + sent / BYTES_PER_SECOND < self._judged[1]:
            clip = self._clips[number % len(self._clips)]
            number += 1
            self.heard.references.append(clip.text)
            pcm = rest + clip.pcm + bytes(int(PAUSE_S * BYTES_PER_SECOND))
            whole = len(pcm) - len(pcm) % CHUNK_BYTES
            rest = pcm[whole:]
            for at in range(0, whole, CHUNK_BYTES):
                sent += CHUNK_BYTES
                due = self._started_at + sent / BYTES_PER_SECOND
                await asyncio.sleep(due - self._loop.time())
                self.heard.send_lateness_s.append(self._loop.time() - due)
                yield pcm[at : at + CHUNK_BYTES]

    async def _read(self) -> None:
        while (response := await self._call.read()) is not grpc.aio.EOF:
            for result in response.results:
                if result.alternatives and result.alternatives[0].words:
                    self._note(result)

    def _note(self, result: riva_asr_pb2.StreamingRecognitionResult) -> None:
        now, heard = self._loop.time(), self.heard
        is_judged = self._judged[0] <= now <= self._judged[1]
        spoken_s = now - self._started_at
        words = result.alternatives[0].words
        if result.is_final:
            heard.texts.append(result.alternatives[0].transcript.strip())
            if is_judged:
                heard.final_delays_s.append(spoken_s - words[-1].end_time / 1000)
            self._awaits_interim = True
            return
        if is_judged:
            heard.interim_ages_s.append(spoken_s - result.audio_processed)
            if self._awaits_interim:
                heard.first_interim_delays_s.append(spoken_s - words[0].start_time / 1000)
        self._awaits_interim = False


@asynccontextmanager
async def recogniser(cores: Sequence[int], streams: int, threads: int) -> AsyncIterator[tuple[int, str]]:
    """`manage.py asr_server` bound to these cores: its process id and address. Ended at the end."""
    port = free_loopback_port()
    command = ["manage.py", "asr_server", "--port", str(port), "--max-streams", str(streams), "--threads", str(threads)]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ENV_FILE": "", "DATA_DIR": folder, "LOG_LEVEL": "WARNING"}
        process = await asyncio.create_subprocess_exec(sys.executable, *command, cwd=BASE_DIR, env=environment)
        try:
            # Before it makes its threads, which inherit it.
            os.sched_setaffinity(process.pid, cores)
            await wait_until_it_answers(f"{LOOPBACK}:{port}")
            yield process.pid, f"{LOOPBACK}:{port}"
        finally:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                process.kill()
                await process.wait()


async def measure(streams: int, seconds: float, options: argparse.Namespace, cores: Sequence[int]) -> Level:
    """One level on a fresh recogniser."""
    loop, clips = asyncio.get_running_loop(), load_clips()
    config = streaming_config(interim_results=not options.finals_only)
    async with (
        recogniser(cores, streams, options.threads) as (pid, address),
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = riva_asr_pb2_grpc.RivaSpeechRecognitionStub(channel)
        begin = loop.time() + WARM_UP_S
        judged = (begin, begin + seconds)

        async def stream(number: int) -> Heard:
            await asyncio.sleep(number * SPREAD_S / streams)
            first = round(number * len(clips) / streams) % len(clips)
            return await Player(stub.StreamingRecognize(), clips[first:] + clips[:first], judged).play(config)

        playing = [asyncio.create_task(stream(number)) for number in range(streams)]
        await asyncio.sleep(judged[0] - loop.time())
        cpu_before_s, measured_from = cpu_seconds(pid), loop.time()
        await asyncio.sleep(judged[1] - loop.time())
        cpu_s, measured_s = cpu_seconds(pid) - cpu_before_s, loop.time() - measured_from
        memory_mb = resident_mb(pid)
        heard = await asyncio.gather(*playing)
    return summary(heard, cpu_s, measured_s, memory_mb)


def summary(heard: Sequence[Heard], cpu_s: float, measured_s: float, memory_mb: float) -> Level:
    streams = len(heard)
    finals = [delay for one in heard for delay in one.final_delays_s]
    firsts = [delay for one in heard for delay in one.first_interim_delays_s]
    ages = [age for one in heard for age in one.interim_ages_s]
    late = [lateness for one in heard for lateness in one.send_lateness_s]
    return Level(
        streams=streams,
        cpu_ms_per_stream_s=round(cpu_s / measured_s / streams * 1000, 1),
        real_time_factor=round(cpu_s / measured_s / streams, 4),
        core_share=round(cpu_s / measured_s, 2),
        final_p50_s=percentile(finals, 50),
        final_p95_s=percentile(finals, 95),
        final_p99_s=percentile(finals, 99),
        interims_per_s=round(len(ages) / measured_s / streams, 2),
        interim_age_p50_s=percentile(ages, 50),
        first_interim_p50_s=percentile(firsts, 50),
        first_interim_p95_s=percentile(firsts, 95),
        word_error_rate=round(
            word_error_rate([" ".join(one.references) for one in heard], [" ".join(one.texts) for one in heard]), 4
        ),
        memory_mb=round(memory_mb),
        finals=len(finals),
        client_late_p99_s=percentile(late, 99),
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """By the nearest rank, in ms; not a number without values."""
    if not values:
        return NO_VALUE
    return round(sorted(values)[math.ceil(len(values) * percent / 100) - 1], 3)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return NO_VALUE


def streams_in_time(levels: Sequence[Level]) -> int:
    """The highest level up to which every level's finals are in time at the 95th percentile."""
    best = 0
    for level in sorted(levels, key=lambda level: level.streams):
        if not level.final_p95_s < FINAL_WITHIN_S:
            break
        best = level.streams
    return best


COLUMNS = (
    ("streams", "streams", "d"),
    ("CPU ms/stream-s", "cpu_ms_per_stream_s", ".1f"),
    ("RTF", "real_time_factor", ".3f"),
    ("cores", "core_share", ".2f"),
    ("final p50 s", "final_p50_s", ".2f"),
    ("p95", "final_p95_s", ".2f"),
    ("p99", "final_p99_s", ".2f"),
    ("interims/s", "interims_per_s", ".2f"),
    ("age p50 s", "interim_age_p50_s", ".2f"),
    ("first p50 s", "first_interim_p50_s", ".2f"),
    ("p95", "first_interim_p95_s", ".2f"),
    ("WER", "word_error_rate", ".2%"),
    ("MB", "memory_mb", ".0f"),
    ("finals", "finals", "d"),
)
HEADINGS = "| " + " | ".join(heading for heading, _, _ in COLUMNS) + " |"


def row(level: Level) -> str:
    return "| " + " | ".join(format(getattr(level, name), layout) for _, name, layout in COLUMNS) + " |"


async def run(options: argparse.Namespace) -> None:
    available = sorted(os.sched_getaffinity(0))
    cores = available[-options.cores :]
    os.sched_setaffinity(0, set(available) - set(cores) or set(available))
    print(HEADINGS)
    print("|" + "---|" * len(COLUMNS), flush=True)
    levels = []
    for streams in options.streams:
        levels.append(await measure(streams, options.seconds, options, cores))
        print(row(levels[-1]), flush=True)
    best = streams_in_time(levels)
    print(
        f"Real-time streams per core (finals within {FINAL_WITHIN_S:g} s at p95): "
        f"{best / len(cores):g}{' or more' if best == max(options.streams) else ''}"
    )
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {cpu_name()}, {os.cpu_count()} cores",
        "python": platform.python_version(),
        "cores": len(cores),
        "threads": options.threads,
        "finals_only": options.finals_only,
        "seconds": options.seconds,
        "streams_per_core": best / len(cores),
        "levels": [asdict(level) for level in levels],
    }
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(json.dumps(report, indent=1) + "\n")


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recogniser", description=__doc__)
    parser.add_argument("--streams", type=_levels, default="1,2,4,8,12,16", help="levels, with commas between")
    parser.add_argument("--seconds", type=float, default=60.0, help="judged time of each level")
    parser.add_argument("--cores", type=int, default=1, help="cores that the recogniser is bound to")
    parser.add_argument("--threads", type=int, default=0, help="model threads; 0 is automatic")
    parser.add_argument("--finals-only", action="store_true", help="ask for no interim results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON file to write")
    asyncio.run(run(parser.parse_args(argv)))


def _levels(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


if __name__ == "__main__":
    main()
