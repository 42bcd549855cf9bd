"""Requests that schemathesis makes from the OpenAPI document, with every check it has."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from transcription.tests.fuzz.stage import PROXIED, Stage

CONFIG = Path(__file__).with_name("schemathesis.toml")
CASES = re.compile(r"^\s*(\d+) generated", re.MULTILINE)
ALL_PHASES = "examples,coverage,fuzzing,stateful"
REQUEST_TIMEOUT_S = 30
# Beside the time it was given.
PATIENCE_S = 600


@dataclass(frozen=True, slots=True)
class Outcome:
    """How many requests were made, whether each was answered as the document says, and what the program printed."""

    cases: int
    passed: bool
    output: str


def throw_requests(stage: Stage, *, seed: int, max_examples: int, max_time_s: int, phases: str = ALL_PHASES) -> Outcome:
    """Run these phases until the time is over. max_examples: for each operation, before others get their turn."""
    headers = {"Authorization": f"Bearer {stage.key}", **PROXIED}
    program = [
        str(Path(sys.executable).with_name("schemathesis")),
        "--config-file", str(CONFIG), "--no-color",
        "run", f"{stage.server.served.url}/api/v1/openapi.json",
        "--checks", "all", "--continue-on-failure", "--max-examples", str(max_examples), "--seed", str(seed),
        "--generation-database", "none", "--warnings", "off", "--request-timeout", str(REQUEST_TIMEOUT_S),
        *[part for name, value in headers.items() for part in ("--header", f"{name}: {value}")],
        "--phases", phases, "--max-time", str(max_time_s),
    ]  # fmt: skip
    done = subprocess.run(
        program,
        cwd=stage.server.served.data_dir,
        capture_output=True,
        text=True,
        timeout=max_time_s + PATIENCE_S,
        check=False,
    )
    found = CASES.search(done.stdout)
    return Outcome(int(found[1]) if found else 0, done.returncode == 0, done.stdout + done.stderr)
