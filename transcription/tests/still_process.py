"""A server process that is not in the database: nothing to start, nothing to close but its threads."""

from __future__ import annotations

from transcription.process import Process


class StillProcess(Process):
    async def start(self) -> None:
        """Nothing."""

    async def aclose(self) -> None:
        await self.views.aclose()
        await self.threads.aclose()
