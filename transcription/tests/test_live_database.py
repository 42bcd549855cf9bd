"""Live sessions as the database knows them."""

from __future__ import annotations

import pytest

from transcription.console.live_database import read_detached_rows, read_live_rows
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
