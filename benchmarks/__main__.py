"""`make bench`: what one stream costs here and elsewhere, at several levels of load.

    python -m benchmarks [--streams 50,150,300] [--database sqlite|postgres] [--gateway NAME ...]
                         [--peer 'NAME=COMMAND with {port} and {riva}' --peer-protocol json|binary|native]

The gateway has one core to itself; client and scripted Riva share another. Gateways take turns within every repeat,
so that a change of the machine's mood meets them all: ratios are the result.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gateways import ARTICLE_FASTAPI, FLASK_SOCKETIO, SPEECHSITE, Gateway, Running, running
from benchmarks.viewers import watching
from speechsite.config import BASE_DIR

STREAMS = [50, 150, 300, 500, 1000]
RESULTS = BASE_DIR / "benchmarks" / "results"
LOAD_TIMEOUT_S = 240.0
SETTLE_S = 1.0
# A gateway that took so long at one level is not asked at the next.
SATURATED_P99_MS = 1000.0
VERSIONS = ("django", "channels", "daphne", "uvicorn", "uvloop", "grpcio", "protobuf", "nvidia-riva-client", "fastapi")
GATEWAY_CPUS, TOOL_CPUS = {0}, {1}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--streams", type=lambda text: [int(part) for part in text.split(",")], default=STREAMS)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=4.0)
    parser.add_argument("--chunk-ms", type=int, default=100)
    parser.add_argument("--interim-ms", type=int, default=100, help="audio after which the scripted Riva answers")
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--viewers", type=int, default=1, help="operators who watch the live page")
    parser.add_argument("--gateway", action="append", help="measure only these, by name")
    parser.add_argument("--peer", action="append", default=[], metavar="NAME=COMMAND")
    parser.add_argument("--peer-protocol", default="json")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    peers = [named_peer(text, options.peer_protocol) for text in options.peer]
    gateways = [SPEECHSITE, ARTICLE_FASTAPI, FLASK_SOCKETIO, *peers]
    if options.gateway:
        gateways = [gateway for gateway in gateways if gateway.name in options.gateway]
    rows = measure(gateways, options)
    document = describe_run(options) | {"rows": summarise(rows, gateways)}
    print(table(document["rows"]))
    output = options.output or RESULTS / f"streaming-{options.database}.json"
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {output}")
    return 0


def named_peer(text: str, protocol: str) -> Gateway:
    """A peer from NAME=COMMAND."""
    name, _, command = text.partition("=")
    return Gateway(name, command, protocol, "as it is")


def measure(gateways: list[Gateway], options: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each gateway, level and repeat."""
    rows: list[dict[str, Any]] = []
    saturated: set[str] = set()
    for streams in options.streams:
        for repeat in range(options.repeats):
            # Not always the same one first.
            order = gateways if repeat % 2 == 0 else gateways[::-1]
            for gateway in order:
                if gateway.name not in saturated:
                    row = measure_once(gateway, streams, options)
                    rows.append(row)
                    print(progress(row), flush=True)
        for gateway in gateways:
            here = [row for row in rows if row["gateway"] == gateway.name and row["streams"] == streams]
            if any(row.get("failure") or (row["latency_ms"]["p99"] or 0) > SATURATED_P99_MS for row in here):
                saturated.add(gateway.name)
    return rows


def measure_once(gateway: Gateway, streams: int, options: argparse.Namespace) -> dict[str, Any]:
    database_url = os.environ["TEST_DATABASE_URL"] if options.database == "postgres" else ""
    redis_url = os.environ["TEST_REDIS_URL"] if options.database == "postgres" else ""
    row: dict[str, Any] = {"gateway": gateway.name, "streams": streams}
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


def speak(
    gateway: Gateway, service: Running, riva: ScriptedRiva, streams: int, options: argparse.Namespace
) -> dict[str, Any]:
    """Run the load client and account for the time that it measures."""
    before = service.usage()
    command = [sys.executable, "-m", "benchmarks.load", "--protocol", gateway.protocol, "--port", str(service.port)]
    command += ["--streams", str(streams), "--chunk-ms", str(options.chunk_ms), "--key", service.key]
    command += ["--interim-ms", str(options.interim_ms)]
    command += ["--warm-up", str(options.warm_up), "--seconds", str(options.seconds)]
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
    measured: dict[str, Any] = json.loads(last)
    return measured | {
        "cpu_ms_per_stream_s": (to_usage.cpu_s - from_usage.cpu_s) * 1000 / stream_seconds,
        "riva_cpu_ms_per_stream_s": (to_riva_s - from_riva_s) * 1000 / stream_seconds,
        "idle_mb": before.rss_bytes / 1e6,
        "memory_mb_per_stream": (to_usage.rss_bytes - before.rss_bytes) / 1e6 / streams,
    }


class ScriptedRiva:
    """benchmarks.riva in a process of its own. own: its own time, once it has ended."""

    def __init__(self, interim_ms: int) -> None:
        self.own: dict[str, Any] = {}
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
        import psutil

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


def summarise(rows: list[dict[str, Any]], gateways: list[Gateway]) -> list[dict[str, Any]]:
    """One row for each gateway and level: medians over the repeats, and the ratio to the article's design."""
    summary = []
    for streams in sorted({row["streams"] for row in rows}):
        here = [row for row in rows if row["streams"] == streams]
        base = [row["cpu_ms_per_stream_s"] for row in here if row["gateway"] == ARTICLE_FASTAPI.name and _is_good(row)]
        for gateway in gateways:
            mine = [row for row in here if row["gateway"] == gateway.name]
            good = [row for row in mine if _is_good(row)]
            if not good:
                if mine:
                    summary.append({"gateway": gateway.name, "streams": streams, "failure": mine[0]["failure"]})
                continue
            cpu = [row["cpu_ms_per_stream_s"] for row in good]
            ratios = [own / other for own, other in zip(cpu, base, strict=False)]
            own_ms = _median(good, "riva_own_mean_ms")
            summary.append(
                {
                    "gateway": gateway.name,
                    "streams": streams,
                    "repeats": len(good),
                    "cpu_ms_per_stream_s": cpu,
                    "ratio": statistics.median(ratios) if ratios else None,
                    "latency_ms": {
                        name: max(0.0, statistics.median(row["latency_ms"][name] for row in good) - own_ms)
                        for name in ("p50", "p95", "p99")
                    },
                    "riva_own_ms": own_ms,
                    "memory_mb_per_stream": _median(good, "memory_mb_per_stream"),
                    "idle_mb": _median(good, "idle_mb"),
                    "client_cpu_ms_per_stream_s": _median(good, "client_cpu_ms_per_stream_s"),
                    "riva_cpu_ms_per_stream_s": _median(good, "riva_cpu_ms_per_stream_s"),
                    "client_late_p99_ms": statistics.median(row["late_ms"]["p99"] for row in good),
                    "results_per_stream_s": _median(good, "results_per_stream_s"),
                    "errors": sum(row["errors"] for row in good),
                    "lost_results": sum(row["lost_finals"] for row in good),
                    "repeated_results": sum(row["repeated_finals"] for row in good),
                    "lacks": gateway.lacks,
                }
            )
    return summary


def _is_good(row: dict[str, Any]) -> bool:
    return "failure" not in row


def _median(rows: list[dict[str, Any]], name: str) -> float:
    return float(statistics.median(row[name] for row in rows))


def describe_run(options: argparse.Namespace) -> dict[str, Any]:
    """What the figures depend on."""
    return {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "cores": os.cpu_count(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {name: _version(name) for name in VERSIONS},
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "database": options.database,
        "chunk_ms": options.chunk_ms,
        "interim_ms": options.interim_ms,
        "viewers": options.viewers,
        "seconds": options.seconds,
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def progress(row: dict[str, Any]) -> str:
    if "failure" in row:
        return f"{row['gateway']:18} {row['streams']:5} failed: {row['failure']}"
    latency = row["latency_ms"]
    return (
        f"{row['gateway']:18} {row['streams']:5} {row['cpu_ms_per_stream_s']:6.2f} ms/stream-s, "
        f"p50 {latency['p50']:.1f} p99 {latency['p99']:.1f} ms, finals p50 {row['final_latency_ms']['p50']:.1f} "
        f"p99 {row['final_latency_ms']['p99']:.1f} ms, {row['results_per_stream_s']:.1f} results/s, "
        f"lost {row['lost_finals']}, errors {row['errors']} {row['first_error'] or ''}, "
        f"{row['memory_mb_per_stream']:.3f} MB, client {row['client_cpu_ms_per_stream_s']:.2f} "
        f"Riva {row['riva_cpu_ms_per_stream_s']:.2f}, late p99 {row['late_ms']['p99']:.1f} ms"
    )


def table(rows: list[dict[str, Any]]) -> str:
    lines = [f"{'gateway':18} {'n':>5} {'ms/stream-s':>12} {'ratio':>6} {'p50':>7} {'p95':>7} {'p99':>7} {'MB':>6}"]
    for row in rows:
        if "failure" in row:
            lines.append(f"{row['gateway']:18} {row['streams']:5} {row['failure']}")
            continue
        latency = row["latency_ms"]
        ratio = f"{row['ratio']:.2f}" if row["ratio"] is not None else ""
        cpu = statistics.median(row["cpu_ms_per_stream_s"])
        lines.append(
            f"{row['gateway']:18} {row['streams']:5} {cpu:12.2f} {ratio:>6} "
            f"{latency['p50']:7.1f} {latency['p95']:7.1f} {latency['p99']:7.1f} {row['memory_mb_per_stream']:6.3f}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
