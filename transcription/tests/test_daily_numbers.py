"""The numbers of days: counted once, whatever happens to a session, and shown to whom they may be."""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from transcription.daily.counting import SESSIONS_AT_ONCE, ask_recount, count_some, uncounted
from transcription.daily.figures import COUNTS, HISTOGRAMS
from transcription.daily.grouping import By, Line, total
from transcription.daily.kinds import CountingKind
from transcription.daily.reading import read_lines
from transcription.files.job_store import prepare_session
from transcription.jobs.runner import Runner
from transcription.models import ApiKey, DailyNumbers, TranscriptionSession, TranscriptSegment
from transcription.review import operations
from transcription.review.authors import Author
from transcription.review.passages import PassageId
from transcription.services import delete_session
from transcription.tests.rows import make_session, make_user, principal_of
from transcription.tests.sessions import change_row

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
State = TranscriptionSession.State


def ended(*texts: str, **fields: Any) -> TranscriptionSession:
    return make_session(*texts, **{"created_at": NOON, "ended_at": NOON, **fields})


def count_all() -> None:
    while not count_some():
        pass


def sums() -> dict[tuple[str, str, int], tuple[int, int]]:
    """Sessions and words by day, language and key."""
    rows = DailyNumbers.objects.all()
    return {(str(row.day), row.language, row.key_number): (row.sessions, row.words) for row in rows}


def test_ended_sessions_are_counted_by_day_language_and_key() -> None:
    key, _text = ApiKey.create("app")
    ended("one two", "three")
    ended("four")
    ended("five", api_key=key)
    ended("sechs", language="de-DE", created_at=NOON - timedelta(days=1))
    make_session("still live", state=State.LIVE, ended_at=None)
    count_all()
    assert sums() == {
        ("2026-11-26", "en-US", 0): (2, 4),
        ("2026-11-26", "en-US", key.pk): (1, 1),
        ("2026-11-25", "de-DE", 0): (1, 1),
    }


def test_counting_again_counts_nothing_twice() -> None:
    ended("one")
    count_all()
    count_all()
    assert sums() == {("2026-11-26", "en-US", 0): (1, 1)}


def test_more_than_one_piece_is_counted_to_the_end() -> None:
    fields = {"language": "en-US", "state": State.COMPLETED, "created_at": NOON, "ended_at": NOON}
    TranscriptionSession.objects.bulk_create(
        TranscriptionSession(public_id=f"many-{n}", **fields) for n in range(SESSIONS_AT_ONCE + 3)
    )
    assert not count_some()
    assert count_some()
    assert DailyNumbers.objects.get().sessions == SESSIONS_AT_ONCE + 3


def test_the_quality_of_a_session_is_counted() -> None:
    session = ended(
        "one two", "three", state=State.FAILED, first_interim_ms=300, final_lag_p50_ms=100, final_lag_p95_ms=900
    )
    words = [{"word": "one", "confidence": 0.4}, {"word": "two", "confidence": 0.9}]
    TranscriptSegment.objects.filter(session=session, index=0).update(words=words)
    TranscriptSegment.objects.filter(session=session, index=1).update(text="free")
    count_all()
    figures = DailyNumbers.objects.get().figures
    assert (figures.failed, figures.interrupted, figures.segments, figures.edited_segments) == (1, 0, 2, 1)
    assert (figures.rated_words, figures.doubtful_words) == (2, 1)
    assert figures.percentile_ms("first_interim", 0.5) == pytest.approx(300, rel=0.05)
    assert figures.percentile_ms("final_p50", 0.5) == pytest.approx(100, rel=0.05)
    assert figures.percentile_ms("final_p95", 0.95) == pytest.approx(900, rel=0.05)


def test_what_people_do_in_review_is_counted() -> None:
    session = ended("one too three", "four", next_seq=2)
    reviewer = make_user("change_transcriptsegment", "view_captions")
    count_all()
    author = Author.of(principal_of(reviewer))
    done = operations.edit(session, author, PassageId(0), 0, text="one two three")
    count_all()
    figures = DailyNumbers.objects.get().figures
    assert (figures.edited_segments, figures.word_error_rate) == (1, None)
    operations.mark_reviewed(session, author, done.version)
    count_all()
    figures = DailyNumbers.objects.get().figures
    assert (figures.reviewed_sessions, figures.word_errors, figures.checked_words) == (1, 1, 4)


def test_what_is_deleted_before_it_was_counted_is_counted_and_stays() -> None:
    session = ended("one two")
    delete_session(session)
    assert sums() == {("2026-11-26", "en-US", 0): (1, 2)}
    count_all()
    assert sums() == {("2026-11-26", "en-US", 0): (1, 2)}


def test_a_detached_session_that_is_deleted_is_counted() -> None:
    session = make_session("one", created_at=NOON, state=State.DETACHED, detached_at=NOON)
    delete_session(session)
    assert sums() == {("2026-11-26", "en-US", 0): (1, 1)}


def test_a_session_that_goes_on_after_its_end_is_counted_as_it_ends_at_last() -> None:
    session = ended("one", state=State.INTERRUPTED)
    count_all()
    assert prepare_session(session.public_id) is not None
    count_all()
    assert DailyNumbers.objects.get().interrupted == 1
    change_row(session.public_id, state=State.COMPLETED, word_count=5, ended_at=NOON)
    count_all()
    row = DailyNumbers.objects.get()
    assert (row.sessions, row.words, row.interrupted) == (1, 5, 0)


def test_a_correction_is_counted_under_the_place_where_the_session_was_even_after_its_key_is_gone() -> None:
    key, _text = ApiKey.create("app")
    session = ended("one", api_key=key)
    count_all()
    number = key.pk
    key.delete()
    TranscriptSegment.objects.filter(session=session).update(text="won")
    ask_recount(session.pk)
    count_all()
    row = DailyNumbers.objects.get()
    assert (row.key_number, row.sessions, row.edited_segments) == (number, 1, 1)


def test_a_correction_while_it_is_being_counted_is_counted_the_next_time() -> None:
    """It is measured before the row is locked."""
    session = ended("one")
    corrected: list[bool] = []

    def correct(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        result = execute(sql, params, many, context)
        if "transcription_transcriptsegment" in sql and not corrected:
            corrected.append(True)
            TranscriptSegment.objects.filter(session=session).update(text="won")
            ask_recount(session.pk)
        return result

    with connection.execute_wrapper(correct):
        count_some()
    assert uncounted().count() == 1
    count_all()
    assert DailyNumbers.objects.get().edited_segments == 1


def test_the_runner_counts_what_has_ended() -> None:
    ended("one")
    runner = Runner([CountingKind()])

    async def work() -> int:
        try:
            return await runner.run_once()
        finally:
            await runner.aclose()

    assert async_to_sync(work)() == 1
    assert sums() == {("2026-11-26", "en-US", 0): (1, 1)}


# The page


def client_of(*permissions: str) -> Client:
    client = Client()
    client.force_login(make_user(*permissions))
    return client


DAYS = {"since": "2026-11-20", "until": "2026-11-26"}


@pytest.mark.parametrize("name", ["day_numbers", "day_numbers_csv"])
def test_only_who_may_watch_sees_the_numbers(name: str) -> None:
    assert client_of("view_captions").get(reverse(name)).status_code == 403
    assert client_of("view_live").get(reverse(name)).status_code == 200


@pytest.mark.parametrize("by", ["day", "week", "month", "language", "key", ""])
def test_each_plot_has_its_summary_table_and_file(by: str) -> None:
    key, _text = ApiKey.create("<b>app")
    ended("one two", api_key=key, first_interim_ms=250)
    count_all()
    page = client_of("view_live").get(reverse("day_numbers"), {**DAYS, "by": by})
    text = page.content.decode()
    assert text.count("<figcaption") == text.count("<table>") == text.count("plot=") == len(page.context["plots"]) == 9
    assert "<b>app" not in text
    assert page.context["figures"].sessions == 1


YEAR = {"since": "2025-11-27", "until": "2026-11-26"}
MAX_YEAR_BYTES = 150_000


def fill_year() -> None:
    """Every day something else in each column, which makes the page as large as it gets."""
    times = {name: {str(bucket): bucket for bucket in range(60, 70)} for name in HISTOGRAMS}
    DailyNumbers.objects.bulk_create(
        DailyNumbers(
            day=NOON.date() - timedelta(days=day), language=language, times=times,
            **{name: 1000 + day * place for place, name in enumerate(COUNTS)},
        )
        for day in range(365) for language in ("en-US", "de-DE")
    )  # fmt: skip


@pytest.mark.parametrize("by", ["", "day"])
def test_the_page_of_a_year_is_light_and_its_file_has_every_day(by: str) -> None:
    fill_year()
    client = client_of("view_live")
    page = client.get(reverse("day_numbers"), {**YEAR, "by": by})
    text = page.content.decode()
    assert len(page.content) < MAX_YEAR_BYTES
    # 53 weeks; each table has a head and a foot.
    assert text.count("<tr>") == 9 * (53 + 2)
    assert len({shown["chart"].width for shown in page.context["plots"]}) == 1
    bars = page.context["plots"][0]["chart"].outer.count("V0")
    assert bars == (365 if by else 53)
    assert ("The plots are by day, the tables by week." in text) == bool(by)
    assert page.context["figures"].sessions == 2 * 365 * 1000
    assert len(read_csv(client, **YEAR, by=by)) == 365


def test_a_table_of_very_many_keys_leaves_out_the_last_and_says_so() -> None:
    DailyNumbers.objects.bulk_create(
        DailyNumbers(day=NOON.date(), language="en-US", key_number=number, sessions=1, audio_ms=number)
        for number in range(1, 104)
    )
    client = client_of("view_live")
    page = client.get(reverse("day_numbers"), {**DAYS, "by": "key"})
    rows = page.context["plots"][0]["rows"]
    assert (len(rows), rows[0]["name"]) == (100, "deleted key 103")
    assert "The tables leave out 3 lines with less audio." in page.content.decode()
    assert len(read_csv(client, by="key")) == 103


def test_sums_of_rows_are_those_of_each() -> None:
    """Counts and times are added by the database, whose every row is another place."""
    fill_year()
    apart = total(Line(row.day, row.figures) for row in DailyNumbers.objects.all())
    for kind in (By.DAY, By.LANGUAGE, By.KEY):
        lines = read_lines(kind, since=date(2025, 11, 27), until=NOON.date())
        assert total(lines).as_json() == apart.as_json()


def test_language_and_key_narrow_the_numbers() -> None:
    key, _text = ApiKey.create("app")
    ended("one", api_key=key)
    ended("zwei", language="de-DE")
    count_all()
    client = client_of("view_live")
    for query in ({"language": "de-DE"}, {"key": "0"}, {"key": str(key.pk)}):
        assert client.get(reverse("day_numbers"), {**DAYS, **query}).context["figures"].sessions == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-11-27", "until": "2026-11-26"}, "since"),
        ({"since": "2024-01-01", "until": "2026-11-26"}, "since"),
        ({"by": "phase of the moon"}, "by"),
        ({"key": "-1"}, "key"),
        ({"key": "9" * 40}, "key"),
        ({"language": "x" * 36}, "language"),
        ({"language": "a\x00b"}, "language"),
        ({"until": "0001-01-01"}, ""),
    ],
)
def test_what_cannot_be_shown_is_said_beside_its_field(query: dict[str, str], field: str) -> None:
    client = client_of("view_live")
    page, file = client.get(reverse("day_numbers"), query), client.get(reverse("day_numbers_csv"), query)
    assert page.status_code == file.status_code == (400 if field else 200)
    if field:
        assert list(page.context["form"].errors) == [field]
        assert file.content.decode().startswith(f"{field}: ")


def read_csv(client: Client, **query: str) -> list[dict[str, str]]:
    answer = client.get(reverse("day_numbers_csv"), {**DAYS, **query})
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_the_file_has_plain_numbers_for_every_day() -> None:
    ended("one two", audio_ms=5_400_000, final_lag_p50_ms=2000)
    count_all()
    rows = read_csv(client_of("view_live"))
    assert [row["day"] for row in rows] == [f"2026-11-{day}" for day in range(20, 27)]
    assert (rows[-1]["audio_hours"], rows[-1]["words"], rows[-1]["final_p50_s"]) == ("1.5", "2", "2.048")
    assert (rows[0]["sessions"], rows[0]["final_p50_s"]) == ("0", "")


def test_the_file_of_one_plot_has_its_columns_and_no_formula() -> None:
    key, _text = ApiKey.create("=1+1")
    ended("one", api_key=key)
    count_all()
    rows = read_csv(client_of("view_live"), by="key", plot="audio")
    assert rows == [{"key": "'=1+1", "audio_hours": "0.0006", "audio_lost_hours": "0.0"}]
    assert client_of("view_live").get(reverse("day_numbers_csv"), {"plot": "pie"}).status_code == 404


def test_a_page_looks_at_no_session() -> None:
    ended("one")
    count_all()
    client = client_of("view_live")
    with CaptureQueriesContext(connection) as queries:
        client.get(reverse("day_numbers"), DAYS)
    asked = [query["sql"] for query in queries]
    assert not [sql for sql in asked if "transcription_transcriptionsession" in sql or "transcriptsegment" in sql]
