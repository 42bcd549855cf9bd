"""The job that counts what has ended."""

from __future__ import annotations

import asyncio
from typing import Any

from django.db.models import QuerySet

from transcription.daily.counting import count_some, has_uncounted
from transcription.jobs.kind import Lease, Outcome
from transcription.webhooks.kinds import CHORE_TIMEOUT_S, chore
from transcription.webhooks.models import Chore

COUNT_EVERY_S = 15.0
# Between pieces of what has gathered, as after an update: others shall write in between.
NEXT_PIECE_S = 0.05
# Of one round.
MAX_PIECES = 100


class CountingKind:
    """Keeps the numbers of days up to date, in one process at a time. Implements JobKind."""

    name = "daily_numbers"
    at_once = 1
    grace_s = 5.0
    look_every_s = 5.0

    def rows(self) -> QuerySet[Any]:
        return chore(self.name, has_uncounted)

    async def work(self, row: Chore, lease: Lease) -> Outcome:
        for _piece in range(MAX_PIECES):
            if await lease.threads.run(count_some, timeout_s=CHORE_TIMEOUT_S):
                return Outcome(due_in_s=COUNT_EVERY_S)
            await asyncio.sleep(NEXT_PIECE_S)
        return Outcome(due_in_s=0.0)
