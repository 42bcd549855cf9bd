"""Long connections whose key was revoked or whose user logged out: looked at all together, every half minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from django.db import DatabaseError, InterfaceError
from django.db.models.functions import Now

from transcription.errors import TranscriptionError
from transcription.identity.keys import find_withdrawn
from transcription.identity.principals import Principal
from transcription.limits.quotas import over_month
from transcription.metrics import AUTH_FAILURES_TOTAL
from transcription.models import ApiKey
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs

logger = logging.getLogger(__name__)

# Within 60 s credentials that were withdrawn end their connections; the last words are stored and told in that time.
CHECK_EVERY_S = 30.0
CHECK_TIMEOUT_S = 10.0

OnLost = Callable[[TranscriptionError], None]


class CredentialWatch:
    """Whose credentials the open connections of this process stand for, and whether they are still good."""

    def __init__(self, threads: DatabaseThreads) -> None:
        self._threads = threads
        self._watched: dict[int, Watched] = {}

    def watch(self, principal: Principal, on_lost: OnLost, *, uses_minutes: bool = False) -> Watched:
        """Call on_lost, once, when the principal may not speak any more, until `leave()`.

        It is given NotAuthenticated, or TooFast where uses_minutes and the key's minutes of the month are used up.
        """
        watched = Watched(self._watched, principal, on_lost, uses_minutes)
        self._watched[id(watched)] = watched
        return watched

    async def run(self) -> None:
        """Check again and again; while the database does not answer nobody is cut off."""
        while True:
            await asyncio.sleep(CHECK_EVERY_S)
            try:
                await self.check()
            except (DatabaseError, InterfaceError, TimeoutError, TooManyJobs) as error:
                logger.warning("Credentials will be looked at again: %s", type(error).__name__)

    async def check(self) -> int:
        """Look at everybody once: a few queries for them all. Returns how many were lost.

        Raises the database's errors, TimeoutError and TooManyJobs.
        """
        watched = list(self._watched.values())
        if not watched:
            return 0
        asked = [(one.principal, one.uses_minutes) for one in watched]
        found = await self._threads.run(_find_lost, asked, timeout_s=CHECK_TIMEOUT_S)
        lost = [(one, error) for one, error in zip(watched, found, strict=True) if error is not None]
        for one, error in lost:
            one.lose(error)
        return len(lost)

    def __len__(self) -> int:
        return len(self._watched)


class Watched:
    """One connection that is looked at."""

    def __init__(
        self, all_watched: dict[int, Watched], principal: Principal, on_lost: OnLost, uses_minutes: bool
    ) -> None:
        self._all = all_watched
        self.principal = principal
        self.uses_minutes = uses_minutes
        self._on_lost = on_lost

    def leave(self) -> None:
        """It has ended. Any number of times."""
        self._all.pop(id(self), None)

    def lose(self, error: TranscriptionError) -> None:
        """Tell it, unless it has left meanwhile."""
        if self._all.pop(id(self), None) is not None:
            AUTH_FAILURES_TOTAL.labels(kind="withdrawn").inc()
            self._on_lost(error)


def _find_lost(asked: Sequence[tuple[Principal, bool]]) -> list[TranscriptionError | None]:
    principals = [principal for principal, _uses_minutes in asked]
    over = _over_month({p.key_id for p, uses_minutes in asked if uses_minutes and p.key_id is not None})
    return [
        withdrawn or (over.get(principal.key_id or 0) if uses_minutes else None)
        for (principal, uses_minutes), withdrawn in zip(asked, find_withdrawn(principals), strict=True)
    ]


def _over_month(key_ids: set[int]) -> dict[int, TranscriptionError]:
    keys = list(ApiKey.objects.annotate(now=Now()).filter(pk__in=key_ids, monthly_minutes__gt=0))
    return dict(over_month(keys, keys[0].now)) if keys else {}
