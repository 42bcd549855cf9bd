"""What a kind of work is, for the runner and for those who make one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from django.db.models import QuerySet

from transcription.jobs import leases
from transcription.jobs.leased_row import LeasedRow
from transcription.storage.database_threads import DatabaseThreads

WRITE_TIMEOUT_S = 10.0
FIRST_RETRY_S, LONGEST_RETRY_S = 5.0, 600.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a piece of work ended. changes: fields of the row to write, in the same statement that lets go of it.

    due_in_s: when it is to be tried again; None: it is done with, well or not. is_an_attempt: false where nothing was
    tried, such as when no place was free.
    """

    changes: dict[str, Any] = field(default_factory=dict)
    due_in_s: float | None = None
    is_an_attempt: bool = True


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write one row for as long as this process works at it."""

    model: type[LeasedRow]
    key: int
    holder: UUID
    threads: DatabaseThreads

    async def update(self, **changes: Any) -> None:
        """Write fields of the row, such as progress. Raises LeaseLost, and the database's errors."""
        await self.threads.run(leases.update, self.model, self.holder, self.key, changes, timeout_s=WRITE_TIMEOUT_S)


class JobKind(Protocol):
    """Work of one kind, a row of its table each.

    name: for logs and metrics. at_once: how many are worked at side by side in one process. grace_s: how long work
    that has begun may go on once the process is to end; then it is cancelled and given back. look_every_s: how often it
    is enough to look for rows; 0.0: as often as the runner looks.
    """

    name: str
    at_once: int
    grace_s: float
    look_every_s: float

    def rows(self) -> QuerySet[Any]:
        """The rows that may be taken here. On a database thread."""
        ...

    async def work(self, row: Any, lease: Lease) -> Outcome:
        """Do the work of one row. What it raises counts as a failed attempt that is tried again after a while.

        Cancelled when the lease is lost and when the process ends: it leaves nothing open behind it.
        """
        ...


def retry_s(attempts: int) -> float:
    """How long to wait after so many failed attempts: 5 s, doubling to ten minutes."""
    return min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(max(0, attempts - 1), 30))
