"""Live sessions as the database knows them."""

from __future__ import annotations

import pytest

from transcription.live_database import read_detached_rows, read_finals, read_has_ended, read_live_rows
from transcription.models import TranscriptionSession
from transcription.tests.rows import make_session

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

State = TranscriptionSession.State


def test_it_lists_the_live_and_those_whose_client_may_come_back() -> None:
    for state in State.values:
        make_session("one", "the last words", public_id=state, state=state)

    rows = read_live_rows()

    assert {name: row["state"] for name, row in rows.items()} == {"live": "live", "detached": "detached"}
    assert rows["live"]["final"] == "the last words"
    assert read_detached_rows() == {"detached": rows["detached"]}


@pytest.mark.parametrize("state", State.values)
def test_a_session_has_ended_when_nobody_can_go_on_with_it(state: str) -> None:
    make_session(public_id="some", state=state)
    assert read_has_ended("some") is (state in ("completed", "interrupted", "failed"))


def test_what_was_deleted_has_ended() -> None:
    assert read_has_ended("none")


def test_finals_come_in_order_after_the_last_one_known() -> None:
    make_session("zero", "one", "two", public_id="some")
    assert [final["text"] for final in read_finals("some", 0)] == ["one", "two"]
