"""`python -m transcription.tests.fuzz`: rubbish for as long as is asked for, as `make fuzz` calls it."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile
import time
from pathlib import Path

from speechsite.tests.served import manage
from transcription.tests.chaos.__main__ import set_up_django

DEFAULT_MINUTES = 10.0
# The larger part for requests: there are more operations than routes.
REQUESTS_SHARE = 0.6
MAX_EXAMPLES = 50
CONVERSATIONS_A_ROUND = 200


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Throw rubbish at every operation and every socket.")
    parser.add_argument("--minutes", type=float, default=DEFAULT_MINUTES)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    set_up_django("sqlite")
    data_dir = Path(tempfile.mkdtemp(prefix="speechsite-fuzz-"))
    manage("migrate", "--verbosity", "0", data_dir=data_dir, DATABASE_URL="sqlite://").check_returncode()
    print(f"seed {seed}, log {data_dir / 'serve.log'}", flush=True)
    os.environ["NO_COLOR"] = "1"
    return throw(data_dir, minutes=arguments.minutes, seed=seed)


def throw(data_dir: Path, *, minutes: float, seed: int) -> int:
    """Returns how many of the two kinds failed."""
    from transcription.tests.fuzz.requests import throw_requests
    from transcription.tests.fuzz.sockets import Report, throw_messages
    from transcription.tests.fuzz.stage import running_stage

    report = Report()
    with running_stage(data_dir) as stage:
        requests_s = round(minutes * 60 * REQUESTS_SHARE)
        outcome = throw_requests(stage, seed=seed, max_examples=MAX_EXAMPLES, max_time_s=requests_s)
        print(outcome.output if not outcome.passed else f"requests: {outcome.cases}, failures: 0", flush=True)
        end_s = time.monotonic() + minutes * 60 * (1 - REQUESTS_SHARE)
        rounds = 0
        while time.monotonic() < end_s and not report.failures:
            found = asyncio.run(throw_messages(stage, seed=seed + rounds, conversations=CONVERSATIONS_A_ROUND))
            report.add(found)
            rounds += 1
        print(f"conversations: {report.conversations}, messages: {report.messages}, failures: {len(report.failures)}")
        for close, count in sorted(report.closes.items()):
            print(f"  {count:6} {close}")
        print(*report.failures, sep="\n")
    return (not outcome.passed) + bool(report.failures)


if __name__ == "__main__":
    sys.exit(main())
