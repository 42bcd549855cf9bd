"""`make bench`: what one stream costs here and elsewhere, at several levels of load.

    python -m benchmarks [--streams 50,150,300] [--database sqlite|postgres] [--gateway NAME ...]
                         [--peer 'NAME=COMMAND with {port} and {riva}' --peer-protocol json|binary|native]

The gateway has one core to itself; client and scripted Riva share another. Gateways take turns within every repeat,
so that a change of the machine's mood meets them all: ratios are the result.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.gateways import ARTICLE_FASTAPI, BARE, FLASK_SOCKETIO, SPEECHSITE, Gateway, speechsite_without
from benchmarks.idle import measure_idle
from benchmarks.report import publish
from benchmarks.runner import Measured, Options, measure_once
from benchmarks.speakers import PROTOCOLS
from benchmarks.summary import is_good, summarise
from speechsite.config import BASE_DIR

STREAMS = [50, 150, 300, 500, 1000]
RESULTS = BASE_DIR / "benchmarks" / "results"
# A gateway that took so long at one number of streams is not asked for more.
OVERLOADED_P99_MS = 1000.0
SATURATED_P99_MS = 100.0
SATURATION_STEP = 100
MAX_SATURATION_STREAMS = 1500
PARTS_STREAMS = 150
CONSOLE_STREAMS, CONSOLE_VIEWERS = 500, 20
VERSIONS = ("django", "channels", "daphne", "uvicorn", "uvloop", "grpcio", "protobuf", "nvidia-riva-client", "fastapi")


def main() -> int:
    options = read_arguments()
    peers = [named_peer(text, options.peer_protocol) for text in options.peer]
    gateways = [SPEECHSITE, BARE, ARTICLE_FASTAPI, FLASK_SOCKETIO, *peers]
    if options.gateway:
        gateways = [gateway for gateway in gateways if gateway.name in options.gateway]
    spoken = Options(
        options.database, options.seconds, options.warm_up, options.chunk_ms, options.interim_ms, options.viewers
    )
    document = describe_run(spoken)
    document["rows"] = summarise(list(measure(gateways, options.streams, options.repeats, spoken)), gateways)
    print(table(document["rows"]))
    if not options.quick:
        document["saturation"] = list(saturate(gateways, spoken))
        document["parts"] = list(measure_parts(options.repeats, spoken))
        document["console"] = measure_console(options.repeats, spoken)
        document["idle"] = measure_idle(spoken)
    write(document, options.output, result_name(spoken))
    return 0


def read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=(__doc__ or "").splitlines()[0])
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
    parser.add_argument("--peer-protocol", choices=sorted(PROTOCOLS), default="json")
    parser.add_argument("--quick", action="store_true", help="neither the saturation sweep nor the parts")
    parser.add_argument("--output", type=Path, help="write here, and leave the documents as they are")
    return parser.parse_args()


def named_peer(text: str, protocol: str) -> Gateway:
    """A peer from NAME=COMMAND."""
    name, _, command = text.partition("=")
    return Gateway(name, command, protocol, "as it is")


def measure(gateways: list[Gateway], levels: list[int], repeats: int, options: Options) -> Iterator[Measured]:
    """One run for each number of streams, repeat and gateway."""
    overloaded: set[str] = set()
    for streams in levels:
        for repeat in range(repeats):
            # Not always the same one first.
            for gateway in gateways if repeat % 2 == 0 else gateways[::-1]:
                if gateway.name in overloaded:
                    continue
                run = measure_once(gateway, streams, options) | {"repeat": repeat}
                print(progress(run), flush=True)
                if not is_good(run) or run["latency_ms"]["p99"] > OVERLOADED_P99_MS:
                    overloaded.add(gateway.name)
                yield run


def saturate(gateways: list[Gateway], options: Options) -> Iterator[dict[str, Any]]:
    """More and more streams, until a gateway's p99 passes SATURATED_P99_MS."""
    for gateway in gateways:
        for streams in range(SATURATION_STEP, MAX_SATURATION_STREAMS + 1, SATURATION_STEP):
            run = measure_once(gateway, streams, options)
            print("saturation:", progress(run), flush=True)
            p99_ms = run["latency_ms"]["p99"] if is_good(run) else None
            yield {"gateway": gateway.name, "streams": streams, "p99_ms": p99_ms}
            if p99_ms is None or p99_ms > SATURATED_P99_MS:
                break


def measure_parts(repeats: int, options: Options) -> Iterator[dict[str, Any]]:
    """What is saved by leaving parts of the service out, against everything on in the same repeat."""
    alone = replace(options, viewers=0)
    variants = [
        ("without storing", speechsite_without("storing"), options),
        ("without acknowledgements", speechsite_without("acks"), options),
        ("without a live view", speechsite_without(), alone),
        ("without all three", speechsite_without("storing", "acks"), alone),
    ]
    ratios: dict[str, list[float]] = {name: [] for name, _, _ in variants}
    for _ in range(repeats):
        whole = measure_once(speechsite_without(), PARTS_STREAMS, options)
        for name, gateway, spoken in variants:
            run = measure_once(gateway, PARTS_STREAMS, spoken)
            print(f"{name}:", progress(run), flush=True)
            if is_good(run) and is_good(whole):
                ratios[name].append(run["cpu_ms_per_stream_s"] / whole["cpu_ms_per_stream_s"])
    for name, found in ratios.items():
        if found:
            yield {"name": name, "ratio": statistics.median(found)}


def measure_console(repeats: int, options: Options) -> dict[str, Any]:
    """What operators who watch the live page cost on top of the sessions."""
    ratios = []
    for _ in range(repeats):
        unwatched = measure_once(SPEECHSITE, CONSOLE_STREAMS, replace(options, viewers=0))
        watched = measure_once(SPEECHSITE, CONSOLE_STREAMS, replace(options, viewers=CONSOLE_VIEWERS))
        print("console:", progress(unwatched), "\nconsole:", progress(watched), flush=True)
        if is_good(watched) and is_good(unwatched):
            ratios.append(watched["cpu_ms_per_stream_s"] / unwatched["cpu_ms_per_stream_s"])
    return {"streams": CONSOLE_STREAMS, "viewers": CONSOLE_VIEWERS, "ratio": statistics.median(ratios)}


def result_name(options: Options) -> str:
    """Of the file, and of its place in docs/performance.md."""
    steps = "" if options.interim_ms == Options.interim_ms else f"-{options.interim_ms}ms"
    return f"streaming-{options.database}{steps}"


def write(document: dict[str, Any], output: Path | None, name: str) -> None:
    path = output or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    print(f"written to {path}")
    if output is None:
        publish([path])


def describe_run(options: Options) -> dict[str, Any]:
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


def progress(run: Measured) -> str:
    if "failure" in run:
        return f"{run['gateway']:18} {run['streams']:5} failed: {run['failure']}"
    latency = run["latency_ms"]
    return (
        f"{run['gateway']:18} {run['streams']:5} {run['cpu_ms_per_stream_s']:6.2f} ms/stream-s, "
        f"p50 {latency['p50']:.1f} p99 {latency['p99']:.1f} ms, finals p50 {run['final_latency_ms']['p50']:.1f} "
        f"p99 {run['final_latency_ms']['p99']:.1f} ms, {run['results_per_stream_s']:.1f} results/s, "
        f"lost {run['lost_finals']}, errors {run['errors']} {run['first_error'] or ''}, "
        f"{run['memory_mb_per_stream']:.3f} MB, client {run['client_cpu_ms_per_stream_s']:.2f} "
        f"Riva {run['riva_cpu_ms_per_stream_s']:.2f}, late p99 {run['late_ms']['p99']:.1f} ms"
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
