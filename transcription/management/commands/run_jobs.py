"""`manage.py run_jobs`: do the work that no request waits for, in a process of its own."""

from __future__ import annotations

import asyncio
import signal
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from transcription.jobs.kinds import job_kinds
from transcription.jobs.runner import Runner
from transcription.process import get_process


class Command(BaseCommand):
    help = (
        "Work at jobs until a signal ends it. Any number of these and of servers with RUN_JOBS_IN_PROCESS "
        "may run side by side. SIGTERM and Ctrl-C give back what is not done; another process goes on with it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="work at what is due now, then end")

    def handle(self, *args: Any, **options: Any) -> None:
        asyncio.run(run_jobs(once=options["once"]))


async def run_jobs(*, once: bool) -> None:
    process = get_process()
    runner = Runner(job_kinds(process), may_begin=lambda: not process.draining)
    stopping = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await process.start()
    ending = asyncio.create_task(stopping.wait())
    try:
        if once:
            working = asyncio.create_task(runner.run_once())
            await asyncio.wait((working, ending), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                await runner.aclose()
            await working
        else:
            runner.start()
            await ending
    finally:
        ending.cancel()
        await runner.aclose()
        await process.drain()
        await process.aclose()
