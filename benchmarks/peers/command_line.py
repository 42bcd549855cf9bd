"""What every peer is told when it is started, and says when it may be used."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Options:
    """riva_address: host:port of a Riva that speaks gRPC without TLS."""

    port: int
    riva_address: str


def parse_options(description: str) -> Options:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--port", type=int, required=True, help=f"where to listen, on {HOST}")
    parser.add_argument("--riva", required=True, metavar="HOST:PORT", help="the Riva to stream to")
    parsed = parser.parse_args()
    return Options(port=parsed.port, riva_address=parsed.riva)


def say_ready() -> None:
    """To be called once connections are accepted."""
    print("ready", flush=True)
