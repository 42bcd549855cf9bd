"""The jobs runner of a server process, where RUN_JOBS_IN_PROCESS has it."""

from __future__ import annotations

import asyncio

from speechsite.config import get_config
from transcription.jobs.kinds import job_kinds
from transcription.jobs.runner import Runner
from transcription.process import Process


class InProcess:
    """At most one runner for the serving loop; start() and aclose() may be called any number of times."""

    def __init__(self) -> None:
        self._runner: Runner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        if not get_config().run_jobs_in_process or self._loop is loop:
            return
        self._loop = loop
        self._runner = Runner(job_kinds(process), may_begin=lambda: not process.draining)
        self._runner.start()

    def wake(self) -> None:
        """Something was queued in this process. From any thread; without a runner here another one finds it."""
        if self._runner is not None:
            self._runner.wake()

    async def aclose(self) -> None:
        runner, self._runner, self._loop = self._runner, None, None
        if runner is not None:
            await runner.aclose()


jobs = InProcess()
