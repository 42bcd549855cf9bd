"""Who works at which row. Plain functions for a database thread; all times are the database's.

A lease ends by itself, so the work of a process that was killed is taken up by another. A holder that stood still
too long finds that the row is no longer its own: everything it writes is conditional on the lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Greatest, Now

from transcription.jobs.leased_row import LeasedRow

Row = TypeVar("Row", bound=LeasedRow)


class LeaseLost(Exception):
    """The row is not ours any more: it was taken by another process, changed by a person, or deleted."""


def claim(rows: QuerySet[Row], holder: UUID, *, limit: int, lease_s: float, spare: Collection[int] = ()) -> list[Row]:
    """Take up to limit due rows that nobody works at, the longest due first.

    rows: those of the kind that may be taken here, with what work on them reads (`select_related`).
    spare: keys of rows that are still being worked at in this process.
    """
    free = Q(lease_until__isnull=True) | Q(lease_until__lte=Now())
    due = rows.filter(free, due_at__lte=Now()).exclude(pk__in=list(spare))
    # Looking takes no lock: most looks find nothing, and on SQLite a transaction that may write holds up all others.
    if not due.exists():
        return []
    with transaction.atomic():
        locked = due.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked, of=("self",))
        # The transaction is IMMEDIATE on SQLite, so that nobody else chooses before these are taken.
        keys = list(locked.order_by("due_at", "pk").values_list("pk", flat=True)[:limit])
        rows.model._default_manager.filter(pk__in=keys).update(
            lease_until=Now() + timedelta(seconds=lease_s), lease_holder=holder, attempts=F("attempts") + 1
        )
        return list(rows.filter(pk__in=keys).order_by("due_at", "pk"))


def extend(model: type[LeasedRow], holder: UUID, keys: Iterable[int], *, lease_s: float) -> set[int]:
    """Go on holding these rows. Returns those that are still the holder's."""
    held = model._default_manager.filter(pk__in=list(keys), lease_holder=holder)
    held.update(lease_until=Now() + timedelta(seconds=lease_s))
    return set(held.values_list("pk", flat=True))


def update(model: type[LeasedRow], holder: UUID, key: int, changes: dict[str, Any]) -> None:
    """Write to a row that is held. Raises LeaseLost."""
    if not model._default_manager.filter(pk=key, lease_holder=holder).update(**changes):
        raise LeaseLost


def release(
    model: type[LeasedRow],
    holder: UUID,
    key: int,
    changes: dict[str, Any],
    *,
    due_in_s: float | None,
    is_an_attempt: bool = True,
) -> None:
    """Let go of a row, with its outcome. Raises LeaseLost.

    due_in_s: when it is due again; None: never. is_an_attempt: false where the work was given back undone.
    """
    due_at = None if due_in_s is None else Now() + timedelta(seconds=due_in_s)
    attempts = F("attempts") if is_an_attempt else Greatest(F("attempts") - 1, 0)
    freed = {"lease_until": None, "lease_holder": None, "due_at": due_at, "attempts": attempts}
    update(model, holder, key, {**freed, **changes})
