"""Index changes on a database that has rows: what they leave, and that they go back and forth."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db import connection

from transcription.migration_operations import without_timeouts
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search.queries import search_sessions
from transcription.tests.rows import make_session

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

NEW = {
    "session_state_newest",
    "session_language_newest",
    "session_long_newest",
    "segment_flagged",
    "segment_edited",
    "transcription_id_search",
}
OLD = {"session_state_worker", "session_state_resume_until"}


def indexes() -> dict[str, list[str]]:
    """Name and columns of every index of sessions and segments that is no constraint."""
    found = {}
    with connection.cursor() as cursor:
        for model in (TranscriptionSession, TranscriptSegment):
            for name, facts in connection.introspection.get_constraints(cursor, model._meta.db_table).items():
                if facts["index"] and not facts["unique"]:
                    found[name] = facts["columns"]
    return found


def migrate(name: str) -> None:
    call_command("migrate", "transcription", name, verbosity=0)


@pytest.fixture
def newest() -> Iterator[None]:
    yield
    call_command("migrate", verbosity=0)


def test_indexes_change_under_rows_and_back(newest: None) -> None:
    session = make_session("the quick brown fox", title="Fable")
    migrate("0004")
    before = indexes()
    assert set(before) >= OLD
    assert ["session_id"] in before.values()
    assert ["owner_id"] in before.values()
    migrate("0005")
    after = indexes()
    assert set(after) >= NEW
    assert not OLD & set(after)
    assert [columns for columns in after.values() if columns in (["session_id"], ["owner_id"], ["api_key_id"])] == []
    call_command("migrate", verbosity=0)
    assert search_sessions(TranscriptionSession.objects.all(), "fox", limit=1, sample=0).get() == session


def test_a_half_made_index_is_made_again(newest: None) -> None:
    """As PostgreSQL leaves one where making it broke off; SQLite leaves none."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite makes an index in a transaction")
    make_session("one")
    migrate("0004")
    with connection.cursor() as cursor:
        cursor.execute("CREATE INDEX session_state_newest ON transcription_transcriptionsession (state)")
    migrate("0005")
    assert indexes()["session_state_newest"] == ["state", "created_at", "id"]


def test_timeouts_come_back() -> None:
    def statement_timeout() -> str | None:
        if connection.vendor != "postgresql":
            return None
        with connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            return str(cursor.fetchone()[0])

    before = statement_timeout()
    with without_timeouts(connection):
        assert statement_timeout() in (None, "0")
    assert statement_timeout() == before
