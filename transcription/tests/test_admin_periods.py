"""The years, months and days to choose from above a list of the admin."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from transcription.admin.periods import Kind, starts
from transcription.tests.rows import make_session, make_user

LIST = "/admin/transcription/transcriptionsession/"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("kind", "first", "last", "expected"),
    [
        ("year", datetime(2024, 12, 31, 23), datetime(2026, 1, 1), ["2024-01-01", "2025-01-01", "2026-01-01"]),
        ("month", datetime(2025, 11, 30), datetime(2026, 1, 2), ["2025-11-01", "2025-12-01", "2026-01-01"]),
        ("month", datetime(2024, 1, 31), datetime(2024, 3, 1), ["2024-01-01", "2024-02-01", "2024-03-01"]),
        ("day", datetime(2026, 2, 27, 5), datetime(2026, 3, 1, 4), ["2026-02-27", "2026-02-28", "2026-03-01"]),
        ("day", datetime(2026, 2, 27, 5), datetime(2026, 2, 27, 5), ["2026-02-27"]),
    ],
)
def test_every_period_between_the_first_and_the_last_row_is_offered(
    kind: Kind, first: datetime, last: datetime, expected: list[str]
) -> None:
    found = list(starts(kind, first, last))
    assert [start.date().isoformat() for start in found] == expected
    assert {(start.hour, start.minute) for start in found} == {(0, 0)}


def test_a_day_on_which_the_clocks_change_is_one_day() -> None:
    first, last = datetime(2026, 3, 28, 12, tzinfo=BERLIN), datetime(2026, 3, 30, 1, tzinfo=BERLIN)
    assert [str(start) for start in starts("day", first, last)] == [
        "2026-03-28 00:00:00+01:00", "2026-03-29 00:00:00+01:00", "2026-03-30 00:00:00+02:00",
    ]  # fmt: skip


@pytest.mark.django_db
@pytest.mark.databases
def test_sessions_are_chosen_by_year_month_and_day_without_cutting_the_time_of_every_row() -> None:
    make_session("one", created_at=datetime(2024, 12, 31, 12, tzinfo=UTC))
    make_session("two", created_at=datetime(2026, 2, 3, 12, tzinfo=UTC))
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    with CaptureQueriesContext(connection) as queries:
        pages = [
            client.get(LIST, {f"created_at__{kind}": value for kind, value in chosen.items()}).content.decode()
            for chosen in ({}, {"year": "2026"}, {"year": "2026", "month": "2"}, {"year": "2023"})
        ]
    assert all(f"created_at__year={year}" in pages[0] for year in (2024, 2025, 2026))
    assert "created_at__month=2" in pages[1]
    assert "created_at__month=3" not in pages[1]
    assert "created_at__day=3" in pages[2]
    assert "created_at__month=" not in pages[3]
    assert not [query["sql"] for query in queries if "trunc" in query["sql"].lower()]
