"""What a run of the streaming benchmark writes, and the tables and the plot are made of."""

from __future__ import annotations

from typing import NotRequired, TypedDict


class Latency(TypedDict):
    """Added latency in ms."""

    p50: float
    p95: float
    p99: float


class Row(TypedDict):
    """One gateway at one number of streams. Every key but the first two is absent where `failure` says why.

    cpu_ms_per_stream_s: one for each repeat. ratio: to the article's design at as many streams, the median of the
    repeats' own. client_cpu_..., riva_cpu_...: what the measuring itself cost, on the other core. client_late_p99_ms:
    how long after its time audio was sent.
    """

    gateway: str
    streams: int
    failure: NotRequired[str]
    repeats: NotRequired[int]
    cpu_ms_per_stream_s: NotRequired[list[float]]
    ratio: NotRequired[float | None]
    latency_ms: NotRequired[Latency]
    memory_mb_per_stream: NotRequired[float]
    idle_mb: NotRequired[float]
    client_cpu_ms_per_stream_s: NotRequired[float]
    riva_cpu_ms_per_stream_s: NotRequired[float]
    client_late_p99_ms: NotRequired[float]
    errors: NotRequired[int]
    lost_results: NotRequired[int]
    lacks: NotRequired[str]


class SaturationPoint(TypedDict):
    """p99_ms: None where the run failed."""

    gateway: str
    streams: int
    p99_ms: float | None


class Part(TypedDict):
    """The service with a part left out. ratio: its CPU to that with everything on."""

    name: str
    ratio: float


class Idle(TypedDict):
    """cpu_percent: of one core. memory_mb: by which the serving process grew, to service_mb."""

    connections: int
    memory_mb: float
    service_mb: float
    cpu_percent: float
    cpu_percent_without: float


class Console(TypedDict):
    """ratio: CPU with so many viewers of the live page to that without any."""

    streams: int
    viewers: int
    ratio: float


class Document(TypedDict):
    machine: dict[str, str | int | None]
    versions: dict[str, str | None]
    date: str
    rows: list[Row]
    saturation: NotRequired[list[SaturationPoint]]
    parts: NotRequired[list[Part]]
    idle: NotRequired[Idle]
    console: NotRequired[Console]
