"""How the database goes about the main queries: by which index, in a moderately filled archive, and in how many steps.

Plans are read as the database explains them; that they are quick is measured by `benchmarks.storage`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from benchmarks import archive
from transcription import services
from transcription.daily.counting import count_some, has_uncounted
from transcription.exports import write_transcript
from transcription.files.models import FileJob
from transcription.models import DailyNumbers, TranscriptionSession, TranscriptSegment
from transcription.past.filters import SessionFilterForm
from transcription.rest.schemas import Cursor, SessionFilters
from transcription.search import metadata_index
from transcription.search.queries import search_sessions
from transcription.search.session_list import Listing, capped_count, hits_by_session, make_place, read_page
from transcription.tests.rows import principal_of

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

SESSIONS = 8000
SEGMENTS = 80_000
WHOLE_TABLES = {
    "postgresql": ["Seq Scan on transcription_transcriptionsession", "Seq Scan on transcription_transcriptsegment"],
    "sqlite": ["SCAN transcription_transcriptionsession\n", "SCAN transcription_transcriptsegment\n"],
}
# SQLite names the index of a constraint itself.
SQLITE_NAME = "sqlite_autoindex_transcription_transcriptsegment_1"
SQLITE_DAILY = "sqlite_autoindex_transcription_dailynumbers_1"


@pytest.fixture(scope="module", autouse=True)
def year(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """An archive for all tests of this module; what they change themselves is rolled back."""
    with django_db_blocker.unblock():
        with transaction.atomic():
            archive.insert(SESSIONS, SEGMENTS)
        archive.refresh_statistics()
    yield
    with django_db_blocker.unblock():
        archive.delete_rows()
        connection.close()


class Statements:
    """What was asked of the database meanwhile."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def __call__(self, execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        self.asked.append((sql, params))
        return execute(sql, params, many, context)

    def plans(self, table: str = "") -> str:
        """The plans of those that read a table, a line for each step."""
        explain = "EXPLAIN " if connection.vendor == "postgresql" else "EXPLAIN QUERY PLAN "
        lines = []
        with connection.cursor() as cursor:
            for sql, params in self.asked:
                if sql.startswith("SELECT") and table in sql:
                    cursor.execute(explain + sql, params)
                    lines += [str(row[-1]) for row in cursor.fetchall()]
        return "\n".join([*lines, ""]).replace(SQLITE_NAME, "segment_index_once_per_session")


@contextmanager
def watched() -> Iterator[Statements]:
    statements = Statements()
    with connection.execute_wrapper(statements):
        yield statements


def boss() -> User:
    return User.objects.get(username=archive.BOSS)


def plans_of(run: Callable[[], Any]) -> str:
    with watched() as statements:
        run()
    return statements.plans("transcription_transcript")


def assert_reads_no_whole_table(plans: str) -> None:
    assert [scan for scan in WHOLE_TABLES[connection.vendor] if scan in plans] == [], plans


def list_page(user: User, *, before: str = "", **query: str) -> list[TranscriptionSession]:
    """A page of the console's list with its hits, as the view makes it, but for the count."""
    who = principal_of(user)
    form = SessionFilterForm(query)
    page = read_page(form.filter(who, user.pk), before=before)
    hits_by_session(who, query.get("q", ""), page.sessions)
    return page.sessions


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "session_newest"),
        ({"state": "failed"}, "session_state_newest"),
        ({"language": archive.RARE_LANGUAGE}, "session_language_newest"),
        ({"length": "1800"}, "session_long_newest"),
        ({"since": "2020-01-01", "until": "2020-01-02"}, "session_newest"),
        ({"source": "listen"}, "session_dialect_newest"),
        ({"key": "bench-key-3"}, "session_key_newest"),
        ({"pair": "customer:c-17"}, metadata_index.NAME),
        ({"errors_only": "on"}, "session_errors_newest"),
        ({"lost": "on"}, "session_errors_newest"),
        ({"lost": "on", "period": "today"}, "session_errors_newest"),
        ({"review": "open"}, "session_newest"),
        ({"assigned": "none"}, "session_newest"),
        ({"audio": "no"}, "session_newest"),
    ],
)
def test_a_page_of_the_list_comes_from_an_index(query: dict[str, str], index: str) -> None:
    plans = plans_of(lambda: list_page(boss(), **query))
    assert index in plans
    assert_reads_no_whole_table(plans)


def test_a_later_page_begins_where_the_one_before_ended() -> None:
    place = TranscriptionSession.objects.order_by("-created_at")[2500]
    plans = plans_of(lambda: list_page(boss(), before=make_place(place)))
    begins = {"postgresql": "Index Cond: (created_at <= ", "sqlite": "USING INDEX session_newest (created_at<?)"}
    assert begins[connection.vendor] in plans or "COVERING INDEX session_newest (created_at<?)" in plans, plans
    by_cursor = TranscriptionSession.objects.filter(Cursor(place.created_at, place.pk).conditions())
    assert begins[connection.vendor] in by_cursor.order_by("-created_at", "-pk")[:51].explain()


def test_somebodys_own_sessions_come_from_the_indexes_of_owners_and_keys() -> None:
    # The last of the users have the fewest sessions.
    owner = User.objects.filter(api_keys__isnull=False, is_superuser=False, user_permissions=None).last()
    assert owner is not None
    plans = plans_of(lambda: list_page(owner))
    assert "session_owner_newest" in plans
    assert "session_key_newest" in plans


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({"metadata": ["customer:c-17"]}, metadata_index.NAME),
        ({"owner": archive.OWNER}, "session_owner_newest"),
        ({"api_key": "bench-key-3"}, "session_key_newest"),
        ({"dialect": "listen"}, "session_dialect_newest"),
        ({"min_audio_ms": 1_800_000}, "session_long_newest"),
    ],
)
def test_the_apis_own_filters_come_from_an_index(query: dict[str, Any], index: str) -> None:
    found = TranscriptionSession.objects.filter(SessionFilters(**query).conditions())
    plans = plans_of(lambda: list(search_sessions(found, "", limit=51)[:51]))
    assert index in plans
    assert_reads_no_whole_table(plans)


def test_a_rare_word_is_looked_up_in_the_search_index() -> None:
    plans = plans_of(lambda: list_page(boss(), q=archive.RARE_WORD))
    assert {"postgresql": "transcription_segment_search_gin", "sqlite": "VIRTUAL TABLE INDEX"}[
        connection.vendor
    ] in plans
    assert_reads_no_whole_table(plans)


def test_a_common_word_is_looked_for_from_the_newest_session_on() -> None:
    found: list[TranscriptionSession] = []
    plans = plans_of(lambda: found.extend(list_page(boss(), q="the")))
    assert len(found) > 20
    assert "search_gin" not in plans
    assert "VIRTUAL TABLE INDEX" not in plans
    assert "session_newest" in plans
    assert "segment_index_once_per_session" in plans
    assert_reads_no_whole_table(plans)


def test_sessions_that_have_just_begun_do_not_make_a_word_rare() -> None:
    TranscriptionSession.objects.bulk_create(
        TranscriptionSession(public_id=f"begun-{number}", language="en-US", state="live") for number in range(300)
    )
    plans = plans_of(lambda: list_page(boss(), q="the"))
    assert "search_gin" not in plans
    assert "VIRTUAL TABLE INDEX" not in plans


def test_what_only_the_newest_sessions_say_often_is_found_in_old_ones_too() -> None:
    """Past the bound of reading one session after the other the index goes on."""
    keys = list(TranscriptionSession.objects.exclude(state="created").values_list("pk", flat=True))
    saying = {*keys[:60], keys[-1]}
    TranscriptSegment.objects.filter(session__in=saying, index=0).update(text="a novelty")
    everything = TranscriptionSession.objects.all()
    found = search_sessions(everything, "novelty", limit=1000)
    assert [session.pk for session in found] == sorted(saying, reverse=True)
    assert [session.pk for session in search_sessions(everything, "novelty", limit=50)[:50]] == keys[:50]


def test_of_several_words_the_index_is_asked_for_the_rare_ones() -> None:
    with watched() as statements:
        list_page(boss(), q=f"the {archive.RARE_WORD}")
    asked = [params for sql, params in statements.asked if "unnest" in sql or "MATCH" in sql]
    assert asked
    for params in asked:
        assert f"'{archive.RARE_WORD}':*" in params or f'"{archive.RARE_WORD}"*' in params


def test_the_beginning_of_an_id_comes_from_an_index() -> None:
    session = TranscriptionSession.objects.order_by("pk")[0]
    plans = plans_of(lambda: list_page(boss(), q=session.public_id[:8]))
    assert "transcription_id_search" in plans
    assert list_page(boss(), q=session.public_id[:8].upper()) == [session]


def test_counting_reads_an_index() -> None:
    failed = Listing(TranscriptionSession.objects.filter(state="failed"))
    assert_reads_no_whole_table(plans_of(lambda: capped_count(failed)))


def test_what_is_not_counted_into_the_numbers_comes_from_its_own_index() -> None:
    with transaction.atomic():
        TranscriptionSession.objects.update(counted_at=Now())
        TranscriptionSession.objects.filter(public_id=archive.BIG_SESSION).update(counted_at=None)
        plans = plans_of(lambda: (has_uncounted(), count_some()))
        transaction.set_rollback(True)
    assert "session_uncounted" in plans
    assert "segment_index_once_per_session" in plans
    assert_reads_no_whole_table(plans)


def test_the_numbers_of_a_month_are_read_by_their_day_and_without_any_session() -> None:
    today = timezone.now().date()
    DailyNumbers.objects.bulk_create(
        DailyNumbers(day=today - timedelta(days=day), language=f"l-{language}", sessions=1)
        for day in range(366)
        for language in range(20)
    )
    client = Client()
    client.force_login(boss())
    with watched() as statements:
        answer = client.get(reverse("day_numbers"))
    assert answer.context["figures"].sessions == 600
    assert statements.plans("transcription_transcript").strip() == ""
    assert "daily_numbers_once" in statements.plans("dailynumbers").replace(SQLITE_DAILY, "daily_numbers_once")
    assert len(statements.asked) <= 8


def test_an_export_reads_its_segments_by_an_index_and_few_at_a_time() -> None:
    session = TranscriptionSession.objects.get(public_id=archive.LONG_SESSION)
    with watched() as statements:
        assert sum(map(len, write_transcript(session, "json"))) > 10_000
    plans = statements.plans()
    reads = session.segment_count // 200 + 1
    assert plans.count("segment_index_once_per_session") == reads
    # Beside each read, what people changed in it.
    assert len(statements.asked) < 2 * reads
    of_segments = statements.plans('FROM "transcription_transcriptsegment"')
    assert "Sort" not in of_segments
    assert "TEMP B-TREE" not in of_segments


def test_a_session_is_deleted_by_an_index() -> None:
    session = TranscriptionSession.objects.get(public_id=archive.BIG_SESSION)
    with transaction.atomic():
        plans = plans_of(lambda: services.delete_session(session))
        transaction.set_rollback(True)
    assert "segment_index_once_per_session" in plans
    assert_reads_no_whole_table(plans)


ADMIN_SEGMENTS = "/admin/transcription/transcriptsegment/"
ADMIN_SESSIONS = "/admin/transcription/transcriptionsession/"


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "segment_index_once_per_session"),
        ({"p": "20"}, "segment_index_once_per_session"),
        ({"reviewed__exact": "1"}, "segment_flagged"),
        ({"edited": "yes"}, "segment_edited"),
        ({"q": archive.RARE_WORD}, "segment_index_once_per_session"),
        ({"q": "the"}, "segment_index_once_per_session"),
    ],
)
def test_the_admin_lists_segments_by_an_index(query: dict[str, str], index: str) -> None:
    client = Client()
    client.force_login(boss())
    with watched() as statements:
        assert client.get(ADMIN_SEGMENTS, query).status_code == 200
    plans = statements.plans("transcription_transcriptsegment")
    assert index in plans
    assert_reads_no_whole_table(plans)


JOBS = 20_000


@pytest.fixture
def many_jobs() -> None:
    """Of which one failed."""
    now = timezone.now()
    state = FileJob.State.COMPLETED
    FileJob.objects.bulk_create(
        (
            FileJob(public_id=f"job-{number}", state=state, owner=boss(), created_at=now - timedelta(minutes=number))
            for number in range(JOBS)
        ),
        batch_size=1000,
    )
    FileJob.objects.filter(public_id="job-700").update(state=FileJob.State.FAILED)
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {FileJob._meta.db_table}")


@pytest.mark.parametrize("address", ["/admin/transcription/filejob/?state__exact=failed", "/api/v1/jobs?state=failed"])
def test_the_few_jobs_that_failed_come_from_an_index(address: str, many_jobs: None) -> None:
    client = Client()
    client.force_login(boss())
    with watched() as statements:
        answer = client.get(address)
    assert "job-700" in answer.content.decode()
    plans = statements.plans('FROM "transcription_filejob"')
    assert "filejob_state_newest" in plans, plans
    for scan in ("Seq Scan on transcription_filejob  (", "SCAN transcription_filejob\n"):
        assert scan not in plans


def test_the_list_of_all_jobs_stops_counting(many_jobs: None) -> None:
    client = Client()
    client.force_login(boss())
    with watched() as statements:
        assert client.get("/admin/transcription/filejob/").status_code == 200
    assert "filejob_newest" in statements.plans('FROM "transcription_filejob"')
    assert not [sql for sql, _params in statements.asked if "COUNT(" in sql and "filejob" in sql]


def test_lists_of_the_admin_stop_counting() -> None:
    client = Client()
    client.force_login(boss())
    html = client.get(ADMIN_SEGMENTS).content.decode()
    assert "over 10000" in html.replace(",", "")
    offer = '<span class="question hidden">'
    assert offer not in client.get(ADMIN_SESSIONS, {"q": "t"}).content.decode()
    assert offer in client.get(ADMIN_SESSIONS).content.decode()
    assert client.get(ADMIN_SEGMENTS, {"p": "200"}).status_code == 200


@pytest.mark.parametrize("address", [reverse("sessions"), "/api/v1/sessions", ADMIN_SESSIONS, ADMIN_SEGMENTS])
@pytest.mark.parametrize("query", [{}, {"q": "the"}, {"q": archive.RARE_WORD}])
def test_a_page_takes_few_statements_whatever_it_shows(address: str, query: dict[str, str]) -> None:
    client = Client()
    client.force_login(boss())
    with watched() as statements:
        assert client.get(address, query).status_code == 200
    # Two of them look for an entry of the audit log, and write it.
    assert len(statements.asked) <= 20


def test_the_page_of_a_session_takes_few_statements() -> None:
    client = Client()
    client.force_login(boss())
    with watched() as statements:
        assert client.get(reverse("session", kwargs={"public_id": archive.BIG_SESSION})).status_code == 200
    # Two of them look for an entry of the audit log, and write it.
    assert len(statements.asked) <= 20
    assert_reads_no_whole_table(statements.plans("transcription_transcript"))


def test_no_index_of_a_table_begins_with_another_one() -> None:
    """Such a one would cost each write and answer nothing that the longer one does not."""
    for model in (TranscriptionSession, TranscriptSegment):
        with connection.cursor() as cursor:
            constraints = connection.introspection.get_constraints(cursor, model._meta.db_table)
        columns = {
            name: tuple(found["columns"])
            for name, found in constraints.items()
            # Those for LIKE, for some rows and for the beginning of ids have another purpose than their columns say.
            if found["index"]
            and found["columns"]
            and all(found["columns"])
            and not name.endswith(
                (
                    "_like",
                    "session_long_newest",
                    "session_errors_newest",
                    "session_uncounted",
                    "segment_flagged",
                    "segment_edited",
                    "transcription_id_search",
                )
            )
        }
        for name, short in columns.items():
            longer = [other for other, long in columns.items() if other != name and long[: len(short)] == short]
            assert not longer, (name, longer)
