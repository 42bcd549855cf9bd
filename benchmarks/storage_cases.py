"""What is measured: pages, API and admin as their users ask for them, through Django's test client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from benchmarks.archive import BIG_SESSION, BOSS, NONSENSE_WORD, OWNER, RARE_LANGUAGE, RARE_WORD
from transcription import services
from transcription.admin.lists import ROWS_PER_PAGE
from transcription.console.live_database import read_live_rows
from transcription.console.numbers import console_numbers
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.rest.schemas import Cursor
from transcription.search.session_list import PAGE_SIZE, make_place

API = "/api/v1/sessions"
SESSIONS = "/admin/transcription/transcriptionsession/"
SEGMENTS = "/admin/transcription/transcriptsegment/"
PAGE = 50
DELETED = "bench-deleted"
DELETED_SEGMENTS = 2000


class Failed(Exception):
    """An answer that is none: a page that took longer than the database allows, for one."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that somebody does. prepare: what must be done before each time, and is not measured."""

    group: str
    name: str
    run: Callable[[], Any]
    prepare: Callable[[], Any] = lambda: None


class Statements:
    """SQL statements of all threads: the client's requests run in one of their own."""

    count = 0

    @classmethod
    def start_counting(cls) -> None:
        connection_created.connect(cls._count_on, dispatch_uid="statements")
        connections.close_all()

    @classmethod
    def _count_on(cls, connection: BaseDatabaseWrapper, **_kwargs: Any) -> None:
        if cls._execute not in connection.execute_wrappers:
            connection.execute_wrappers.append(cls._execute)

    @classmethod
    def _execute(cls, execute: Callable[..., Any], *arguments: Any) -> Any:
        cls.count += 1
        return execute(*arguments)


def log_in(username: str) -> Client:
    client = Client(raise_request_exception=False)
    client.force_login(get_user_model().objects.get(username=username))
    return client


def get(client: Client, address: str, **query: str) -> None:
    response = client.get(address, query)
    if response.status_code != 200:
        raise Failed(f"status {response.status_code}")
    if response.streaming:
        for _piece in response:
            pass


def all_cases() -> Iterator[Case]:
    boss, owner = log_in(BOSS), log_in(OWNER)
    yield from list_cases(boss, owner)
    yield from search_cases(boss, owner)
    yield from page_cases(boss)
    yield from admin_cases(boss)
    yield Case("other", f"delete a session of {DELETED_SEGMENTS:,} segments", Deletion.run, Deletion.prepare)


def list_cases(boss: Client, owner: Client) -> Iterator[Case]:
    deep, deepest = end_of_page(PAGE - 1), end_of_page(None)
    console = reverse("sessions")
    half_a_year = timezone.now() - timedelta(days=180)
    day = half_a_year.date().isoformat()
    queries: list[tuple[str, Client, dict[str, str], dict[str, str]]] = [
        ("first page", boss, {}, {}),
        (f"page {PAGE}", boss, {"before": make_place(deep)}, {"cursor": str(Cursor(deep.created_at, deep.pk))}),
        ("last page", boss, {"before": make_place(deepest)}, {"cursor": str(Cursor(deepest.created_at, deepest.pk))}),
        ("first page of somebody with few sessions", owner, {}, {}),
        ("state failed", boss, {"state": "failed"}, {"state": "failed"}),
        ("state detached (rare)", boss, {"state": "detached"}, {"state": "detached"}),
        ("language en-US", boss, {"language": "en-US"}, {"language": "en-US"}),
        (f"language {RARE_LANGUAGE} (rare)", boss, {"language": RARE_LANGUAGE}, {"language": RARE_LANGUAGE}),
        ("a day half a year ago", boss, {"since": day, "until": day}, {"until": half_a_year.isoformat()}),
    ]
    for name, client, of_console, of_api in queries:
        yield Case("list", f"{name}, console", partial(get, client, console, **of_console))
        yield Case("list", f"{name}, API", partial(get, client, API, **of_api))
    yield Case("list", "30 min or more, console", partial(get, boss, console, length="1800"))
    yield Case("list", "only mine, console", partial(get, owner, console, mine="on"))
    yield Case("list", "failed, rare language, 10 min or more, console",
               partial(get, boss, console, state="failed", language=RARE_LANGUAGE, length="600"))  # fmt: skip


def end_of_page(number: int | None) -> TranscriptionSession:
    """The session that ends a page of the list, or the last but one page for None or where there are fewer."""
    newest = TranscriptionSession.objects.order_by("-created_at", "-pk")
    last = max(0, newest.count() - PAGE_SIZE)
    return newest[min(number * PAGE_SIZE, last) if number is not None else last]


def search_cases(boss: Client, owner: Client) -> Iterator[Case]:
    console = reverse("sessions")
    identifier = TranscriptionSession.objects.order_by("pk")[0].public_id[:10]
    texts = {
        "a rare word": RARE_WORD,
        "a common word": "the",
        "a common beginning": "t",
        "a word of one segment in 100": "customer",
        "five words": "the report of your customer",
        "a word that nobody said": NONSENSE_WORD,
        "the beginning of an id": identifier,
    }
    for name, text in texts.items():
        yield Case("search", f"{name}, console", partial(get, boss, console, q=text))
        yield Case("search", f"{name}, API", partial(get, boss, API, q=text))
    yield Case("search", "a common word, failed only, console", partial(get, boss, console, q="the", state="failed"))
    yield Case("search", "a common word, rare language, console",
               partial(get, boss, console, q="the", language=RARE_LANGUAGE))  # fmt: skip
    yield Case("search", "a common word, somebody with few sessions, console", partial(get, owner, console, q="the"))
    yield Case("search", "a rare word, somebody with few sessions, console", partial(get, owner, console, q=RARE_WORD))
    place = end_of_page(PAGE - 1)
    yield Case("search", f"a common word, page {PAGE}, console",
               partial(get, boss, console, q="the", before=make_place(place)))  # fmt: skip


def page_cases(boss: Client) -> Iterator[Case]:
    big = reverse("session", kwargs={"public_id": BIG_SESSION})
    yield Case("page", "a session of 2,000 segments", partial(get, boss, big))
    yield Case("page", "its second part", partial(get, boss, big, part="1"))
    yield Case("page", "figures of the console", console_numbers)
    yield Case("page", "live rows from the database", read_live_rows)


def admin_cases(boss: Client) -> Iterator[Case]:
    queries: dict[str, tuple[str, dict[str, str]]] = {
        "sessions": (SESSIONS, {}),
        "sessions, page 100": (SESSIONS, {"p": admin_page(TranscriptionSession)}),
        "sessions that failed": (SESSIONS, {"state__exact": "failed"}),
        "sessions by length": (SESSIONS, {"o": "4"}),
        "sessions with a common word": (SESSIONS, {"q": "the"}),
        "sessions with a rare word": (SESSIONS, {"q": RARE_WORD}),
        "sessions of a user": (SESSIONS, {"q": OWNER}),
        "sessions by metadata": (SESSIONS, {"q": "customer:c-77"}),
        "sessions with facets": (SESSIONS, {"_facets": "True"}),
        "segments": (SEGMENTS, {}),
        "segments, page 100": (SEGMENTS, {"p": admin_page(TranscriptSegment)}),
        "segments with a common word": (SEGMENTS, {"q": "the"}),
        "segments with a rare word": (SEGMENTS, {"q": RARE_WORD}),
        "segments that were reviewed": (SEGMENTS, {"reviewed__exact": "1"}),
        "segments that were edited": (SEGMENTS, {"edited": "yes"}),
        "segments of low confidence": (SEGMENTS, {"confidence": "low"}),
    }
    for name, (address, query) in queries.items():
        yield Case("admin", name, partial(get, boss, address, **query))
    big = TranscriptionSession.objects.get(public_id=BIG_SESSION)
    yield Case("admin", "a session of 2,000 segments", partial(get, boss, f"{SESSIONS}{big.pk}/change/"))
    yield Case("admin", "segments of a session", partial(get, boss, SEGMENTS, session__id__exact=str(big.pk)))


def admin_page(model: type[TranscriptionSession | TranscriptSegment]) -> str:
    """Page 100 of a list, or the last one."""
    return str(max(1, min(100, model.objects.count() // ROWS_PER_PAGE)))


class Deletion:
    """A session to be deleted, made anew each time."""

    session: TranscriptionSession

    @classmethod
    def prepare(cls) -> None:
        cls.session = TranscriptionSession.objects.create(
            public_id="bench-deleted", language="en-US", state="completed"
        )
        TranscriptSegment.objects.bulk_create(
            TranscriptSegment(
                session=cls.session,
                index=index,
                start_ms=index * 1000,
                end_ms=(index + 1) * 1000,
                text=text,
                asr_text=text,
            )
            for index, text in enumerate(["this is deleted again"] * DELETED_SEGMENTS)
        )

    @classmethod
    def run(cls) -> None:
        services.delete_session(cls.session)
