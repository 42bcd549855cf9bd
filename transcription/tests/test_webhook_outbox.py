"""Every way in which a session ends is noted for webhooks, with the end itself or not at all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from transcription import services
from transcription.models import TranscriptionSession
from transcription.storage.endings import note_ending
from transcription.storage.reaper import ResumeBounds, expire_detached, release_lost
from transcription.storage.steps import Ending, SessionHandle
from transcription.tests.rows import make_session
from transcription.tests.webhook_rows import make_endpoint
from transcription.webhooks.models import SessionEnd
from transcription.webhooks.outbox import note_end

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

State = TranscriptionSession.State
BOUNDS = ResumeBounds(600, 1800)


def live(**fields: object) -> TranscriptionSession:
    return make_session("hello", state=State.LIVE, epoch=3, next_seq=1, **fields)


def noted() -> list[tuple[int, int, str]]:
    return list(SessionEnd.objects.values_list("session_id", "epoch", "state"))


def finish(state: str) -> Callable[[TranscriptionSession], object]:
    def end(session: TranscriptionSession) -> None:
        handle = SessionHandle(session.pk, session.public_id, 3, 1, session.committed_bytes, session.created_at)
        note_ending(handle, Ending(state, "client"))  # type: ignore[arg-type]

    return end


def stop_detached(session: TranscriptionSession) -> None:
    TranscriptionSession.objects.filter(pk=session.pk).update(state=State.DETACHED, detached_at=Now())
    assert services.request_stop(session, None, "")


def expire(session: TranscriptionSession) -> None:
    TranscriptionSession.objects.filter(pk=session.pk).update(
        state=State.DETACHED, detached_at=Now(), resume_until=Now() - timedelta(seconds=1)
    )
    assert expire_detached() == 1


def lose_worker(session: TranscriptionSession) -> None:
    assert release_lost((), BOUNDS) == 1


WAYS = [
    (finish("completed"), State.COMPLETED),
    (finish("interrupted"), State.INTERRUPTED),
    (finish("failed"), State.FAILED),
    (stop_detached, State.COMPLETED),
    (expire, State.INTERRUPTED),
    (lose_worker, State.INTERRUPTED),
]


@pytest.mark.parametrize(("end", "state"), WAYS)
def test_an_end_is_noted_once_however_it_comes(end: Callable[[TranscriptionSession], object], state: str) -> None:
    make_endpoint()
    session = live()
    end(session)
    assert TranscriptionSession.objects.get(pk=session.pk).state == state
    assert noted() == [(session.pk, 3, state)]


@pytest.mark.parametrize(("end", "state"), WAYS)
def test_nothing_is_noted_where_nobody_has_an_endpoint(
    end: Callable[[TranscriptionSession], object], state: str
) -> None:
    make_endpoint(enabled=False)
    end(live())
    assert noted() == []


def test_ending_a_session_again_notes_nothing_more() -> None:
    make_endpoint()
    session = live()
    finish("completed")(session)
    finish("completed")(session)
    assert len(noted()) == 1


def test_a_lost_connection_is_no_end() -> None:
    make_endpoint()
    finish("detached")(live())
    assert noted() == []


def test_a_transaction_that_fails_takes_the_note_along() -> None:
    make_endpoint()
    session = live()
    with transaction.atomic():
        finish("completed")(session)
        transaction.set_rollback(True)
    assert noted() == []
    assert TranscriptionSession.objects.get(pk=session.pk).state == State.LIVE


def test_where_nobody_listens_an_end_costs_one_statement() -> None:
    session = make_session(state=State.COMPLETED)
    with transaction.atomic(), CaptureQueriesContext(connection) as statements:
        note_end(session)
    assert len(statements) == 1


@pytest.mark.django_db(transaction=True)
def test_it_refuses_to_note_an_end_outside_the_transaction_that_makes_it() -> None:
    with pytest.raises(transaction.TransactionManagementError):
        note_end(make_session(state=State.COMPLETED))


def test_a_session_that_is_deleted_takes_what_was_noted_along() -> None:
    make_endpoint()
    session = live()
    finish("completed")(session)
    services.delete_session(session)
    assert noted() == []
