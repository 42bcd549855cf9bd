"""`python -m transcription.tests.chaos chaos|rolling|soak`, as the Makefile calls it."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sys
import tempfile

DEFAULT_MINUTES = {"chaos": 10.0, "rolling": 10.0, "soak": 60.0}
DEFAULT_SESSIONS = {"chaos": 40, "rolling": 50, "soak": 30}


def main() -> int:
    parser = argparse.ArgumentParser(prog="chaos", description="Break the service under load and check what was lost.")
    parser.add_argument("run", choices=sorted(DEFAULT_MINUTES))
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--sessions", type=int)
    parser.add_argument("--database", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--keep", action="store_true", help="keep logs and database")
    arguments = parser.parse_args()
    set_up_django(arguments.database)

    from transcription.tests.chaos.rolling import run_rolling
    from transcription.tests.chaos.run import Options, run_chaos
    from transcription.tests.chaos.soak import run_soak

    options = Options(
        minutes=arguments.minutes or DEFAULT_MINUTES[arguments.run],
        sessions=arguments.sessions or DEFAULT_SESSIONS[arguments.run],
        database=arguments.database,
        seed=secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed,
        keep=arguments.keep,
    )
    run = {"chaos": run_chaos, "rolling": run_rolling, "soak": run_soak}[arguments.run]
    return asyncio.run(run(options))


def set_up_django(database: str) -> None:
    """Settings of this run alone, the database's own address, nothing of the developer's environment."""
    folder = tempfile.mkdtemp(prefix="speechsite-chaos-")
    os.environ["ENV_FILE"] = ""
    from speechsite.config import Config

    for name in Config.model_fields:
        os.environ.pop(name.upper(), None)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "speechsite.settings", "DATA_DIR": folder, "LOG_FORMAT": "json"}
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"] if database == "postgres" else "sqlite://"
    import django

    django.setup()


if __name__ == "__main__":
    sys.exit(main())
