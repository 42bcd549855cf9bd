"""One holder at a time, none for ever."""

from __future__ import annotations

import itertools
import uuid
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models.functions import Now

from transcription.files.models import FileJob
from transcription.jobs import leases
from transcription.jobs.leases import LeaseLost

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

ANNA, BEN = uuid.uuid4(), uuid.uuid4()
_numbers = itertools.count()


def make_job(*, due_in_s: float | None = -1.0, **fields: Any) -> FileJob:
    due_at = None if due_in_s is None else Now() + timedelta(seconds=due_in_s)
    return FileJob.objects.create(public_id=f"job-{next(_numbers)}", due_at=due_at, **fields)


def claim(holder: UUID, limit: int = 10, *, lease_s: float = 30.0, spare: tuple[int, ...] = ()) -> list[FileJob]:
    return leases.claim(FileJob.objects.all(), holder, limit=limit, lease_s=lease_s, spare=spare)


def test_what_is_due_is_claimed_once_longest_due_first() -> None:
    later, earlier = make_job(due_in_s=-1), make_job(due_in_s=-60)

    assert claim(ANNA, 1) == [earlier]
    assert claim(BEN) == [later]
    assert claim(ANNA) == []


def test_what_is_not_due_or_done_with_is_left() -> None:
    make_job(due_in_s=60)
    make_job(due_in_s=None)

    assert claim(ANNA) == []


def test_a_claim_counts_as_an_attempt() -> None:
    make_job()

    assert claim(ANNA)[0].attempts == 1


def test_only_rows_of_the_kind_are_claimed() -> None:
    make_job(storage_id="elsewhere")

    assert leases.claim(FileJob.objects.filter(storage_id="here"), ANNA, limit=1, lease_s=30) == []


def test_a_lease_that_ran_out_is_taken_by_another_and_its_old_holder_may_write_no_more() -> None:
    job = make_job()
    claim(ANNA, lease_s=-1)

    assert claim(BEN) == [job]
    with pytest.raises(LeaseLost):
        leases.update(FileJob, ANNA, job.pk, {"heard_ms": 1})
    with pytest.raises(LeaseLost):
        leases.release(FileJob, ANNA, job.pk, {}, due_in_s=None)
    assert leases.extend(FileJob, ANNA, [job.pk], lease_s=30) == set()


def test_a_holder_does_not_claim_again_what_it_still_works_at() -> None:
    job = make_job()
    claim(ANNA, lease_s=-1)

    assert claim(ANNA, spare=(job.pk,)) == []


def test_an_extended_lease_is_not_taken() -> None:
    job = make_job()
    claim(ANNA, lease_s=-1)

    assert leases.extend(FileJob, ANNA, [job.pk], lease_s=30) == {job.pk}
    assert claim(BEN) == []


def test_a_released_row_has_its_outcome_and_is_free() -> None:
    job = make_job()
    claim(ANNA)

    # SQLite's clock has milliseconds: what is due now may not be, in the same one.
    leases.release(FileJob, ANNA, job.pk, {"heard_ms": 7}, due_in_s=-0.01)

    job.refresh_from_db()
    assert (job.heard_ms, job.lease_holder, job.lease_until, job.attempts) == (7, None, None, 1)
    assert claim(BEN) == [job]


def test_work_that_was_given_back_is_no_attempt() -> None:
    job = make_job()
    claim(ANNA)

    leases.release(FileJob, ANNA, job.pk, {}, due_in_s=0.0, is_an_attempt=False)

    job.refresh_from_db()
    assert job.attempts == 0


def test_what_is_done_with_is_never_due_again() -> None:
    job = make_job()
    claim(ANNA)
    leases.release(FileJob, ANNA, job.pk, {"state": "completed"}, due_in_s=None)

    job.refresh_from_db()
    assert (job.state, job.due_at) == ("completed", None)


def test_a_row_that_was_deleted_is_lost() -> None:
    job = make_job()
    claim(ANNA)
    FileJob.objects.all().delete()

    with pytest.raises(LeaseLost):
        leases.update(FileJob, ANNA, job.pk, {"heard_ms": 1})
