"""Two workers and a Redis: whoever speaks on one of them is seen, stopped, marked and heard on either."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from speechsite.config import BASE_DIR
from speechsite.tests.served import environment, wait_for
from transcription.tests.browser.conftest import ACTION_TIMEOUT_MS, OPERATOR, SEEDS, Watch, log_in
from transcription.tests.browser.test_review import ZOE, edit, row, text
from transcription.tests.browser.worker_site import WORKERS, WorkerSite, running_workers

SERVER_URL, REDIS_URL = os.environ.get("TEST_DATABASE_URL", ""), os.environ.get("TEST_REDIS_URL", "")
PLACES = 8
NEWS_TIMEOUT_MS = 20_000
UPDATE_TIMEOUT_S = 90.0

pytestmark = [
    pytest.mark.databases,
    pytest.mark.timeout(240),
    pytest.mark.skipif(not (SERVER_URL and REDIS_URL), reason="needs both servers: `make test-databases` starts them"),
]

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerSite]:
    places = {"MAX_CONCURRENT_SESSIONS": str(PLACES), "MAX_SESSIONS_PER_OWNER": "0"}
    with running_workers(tmp_path_factory.mktemp("workers"), SERVER_URL, REDIS_URL, *SEEDS, **places) as site:
        yield site


@pytest.fixture(scope="module")
def people(workers: WorkerSite, browser: Browser) -> Iterator[dict[tuple[str, str], BrowserContext]]:
    """Two who are logged in, each in a browser of their own."""
    contexts = {person: browser.new_context(base_url=workers.url) for person in (OPERATOR, ZOE)}
    for person, context in contexts.items():
        context.set_default_timeout(ACTION_TIMEOUT_MS)
        page = context.new_page()
        log_in(page, person)
        page.close()
    yield contexts
    for context in contexts.values():
        context.close()


@pytest.fixture
def visit(people: dict[tuple[str, str], BrowserContext], watch: Watch) -> Iterator[Open]:
    pages: list[Page] = []

    def visit(path: str, person: tuple[str, str] = OPERATOR) -> Page:
        page = people[person].new_page()
        pages.append(page)
        watch.follow(page)
        page.goto(path)
        return page

    yield visit
    for page in pages:
        page.close()


@pytest.fixture
def quiet(workers: WorkerSite) -> Iterator[None]:
    """Whoever spoke in a test has left after it."""
    yield
    workers.hush()


def live_row(page: Page, session_id: str) -> Locator:
    return page.locator(f'[data-rows] tr[data-id="{session_id}"]')


def test_speakers_of_both_workers_are_on_one_page_and_stopped_from_it(
    workers: WorkerSite, visit: Open, quiet: None
) -> None:
    speakers = workers.speak_on_both_workers("live")
    page = visit("/console/")
    nodes = set()
    for speaker in speakers:
        seen = live_row(page, speaker.record.session_id)
        # Interims never reach the database: what moves here came from the other worker, over Redis.
        expect(seen.locator("[data-interim]")).not_to_be_empty(timeout=NEWS_TIMEOUT_MS)
        expect(seen.locator("[data-final]")).to_contain_text("word", timeout=NEWS_TIMEOUT_MS)
        nodes.add(seen.locator("[data-node]").inner_text())
    assert len(nodes) == WORKERS
    for number, speaker in enumerate(speakers):
        seen = live_row(page, speaker.record.session_id)
        seen.locator("[data-stop]").click()
        page.fill("#stop-reason", f"Room {number} is needed.")
        page.get_by_role("button", name="Stop the session").click()
        expect(seen).to_have_count(0, timeout=NEWS_TIMEOUT_MS)
        [error] = speaker.of("error")
        assert error["code"] == 4490
        assert f"Room {number} is needed." in error["message"]


def test_a_full_site_says_so_whatever_the_worker(workers: WorkerSite, visit: Open, quiet: None) -> None:
    page = visit("/console/")
    for number in range(PLACES):
        workers.speak(f"full-{number}")
    banner = page.locator('[data-about="capacity"]')
    expect(banner).to_have_text(f"{PLACES} of {PLACES}. New recordings are asked to wait.", timeout=NEWS_TIMEOUT_MS)
    expect(page.locator('[data-kpi-card="live"]')).to_contain_text("full")


def test_live_sessions_are_followed_marked_and_heard_by_several(workers: WorkerSite, visit: Open, quiet: None) -> None:
    addresses = [
        f"/console/sessions/{speaker.record.session_id}/" for speaker in workers.speak_on_both_workers("followed")
    ]
    mine, other, zoes = visit(addresses[0]), visit(addresses[1]), visit(addresses[0], ZOE)
    for page in (mine, other, zoes):
        expect(page.locator("[data-interim]")).not_to_be_empty(timeout=NEWS_TIMEOUT_MS)
        expect(page.locator("[data-log]")).to_contain_text("word", timeout=NEWS_TIMEOUT_MS)
        expect(page.locator("[data-timeline]")).to_contain_text("The recogniser listens")
    mine.locator("[data-bookmark]").click()
    zoes.fill("[data-note-text]", "Ask for the source.")
    zoes.keyboard.press("Enter")
    for page in (mine, zoes):
        expect(page.locator("[data-notes-list]")).to_contain_text("Bookmark", timeout=NEWS_TIMEOUT_MS)
        expect(page.locator("[data-notes-list]")).to_contain_text("Ask for the source.", timeout=NEWS_TIMEOUT_MS)
    for page in (mine, other):
        page.locator("[data-listen]").click()
        heard = "You hear the session three seconds behind."
        expect(page.locator("[data-status]")).to_have_text(heard, timeout=NEWS_TIMEOUT_MS)
    mine.locator("[data-stop-open]").click()
    mine.fill("#stop-reason", "That is all.")
    mine.get_by_role("button", name="Stop the session").click()
    for page in (mine, zoes):
        expect(page.locator("main")).to_contain_text("That is all.", timeout=NEWS_TIMEOUT_MS)
        expect(page.locator("[data-timeline]")).to_contain_text("operator asked for the stop.")


def test_two_who_review_see_each_others_locks_and_edits(visit: Open) -> None:
    mine, zoes = visit("/console/sessions/speech-lock/"), visit("/console/sessions/speech-lock/", ZOE)
    for page in (mine, zoes):
        expect(page.locator("[data-tools]")).to_be_visible(timeout=NEWS_TIMEOUT_MS)
    field = edit(zoes, 1)
    expect(row(mine, 1).locator("[data-row-lock]")).to_have_text("Zoe is editing this segment", timeout=NEWS_TIMEOUT_MS)
    field.fill("Ask not.")
    zoes.keyboard.press("Control+s")
    expect(text(mine, 1)).to_have_text("Ask not.", timeout=NEWS_TIMEOUT_MS)


def test_what_is_done_to_many_or_run_again_is_there_on_either_worker(
    workers: WorkerSite, visit: Open, quiet: None
) -> None:
    speaker = workers.speak("kept")
    live = visit("/console/sessions/kept/")
    expect(live.locator("[data-log]")).to_contain_text("word", timeout=NEWS_TIMEOUT_MS)
    live.locator("[data-stop-open]").click()
    live.get_by_role("button", name="Stop the session").click()
    expect(live.get_by_role("button", name="Mark reviewed")).to_be_visible(timeout=NEWS_TIMEOUT_MS)
    assert speaker.closes == [] or speaker.closes[-1] == 4490
    page = visit("/console/sessions/?q=title+kept")
    page.locator("input[name=chosen]").first.check()
    page.locator("[data-chosen-bar]").get_by_role("button", name="Mark reviewed").click()
    for _ in range(2 * WORKERS):
        live.reload()
        expect(live.locator("[data-reviewed-line]")).to_contain_text("Reviewed by operator")
    page.goto("/console/sessions/kept/again/")
    begin = page.get_by_role("button", name="Run it again")
    while not begin.is_visible():  # the recording is joined in a moment
        page.reload()
    begin.click()
    while not (compare := page.get_by_role("link", name="Compare")).is_visible():
        page.goto("/console/sessions/kept/again/")
    compare.click()
    expect(page.locator("main")).to_contain_text("word0001")


def test_the_command_lists_the_sessions_of_all_workers(workers: WorkerSite, quiet: None) -> None:
    ids = {speaker.record.session_id for speaker in workers.speak_on_both_workers("listed")}
    watching = subprocess.Popen(
        [sys.executable, BASE_DIR / "manage.py", "sessions", "--live", "--watch", "--json"],
        env=environment(workers.served.data_dir, workers.settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert watching.stdout is not None
    try:
        looks = (json.loads(line) for line in watching.stdout)
        rows = next(rows for rows in looks if ids <= {row["session_id"] for row in rows if row["segments"]})
    finally:
        watching.send_signal(signal.SIGINT)
        watching.stdout.close()
    assert watching.wait(ACTION_TIMEOUT_MS / 1000) == 0
    assert len({row["worker"] for row in rows if row["session_id"] in ids}) == WORKERS


@pytest.mark.long
def test_an_update_is_announced_and_costs_the_page_nothing(
    workers: WorkerSite, visit: Open, watch: Watch, quiet: None
) -> None:
    watch.expect("status of 503", "WebSocket connection to")
    speakers = workers.speak_on_both_workers("updated")
    page = visit("/console/")
    for speaker in speakers:
        expect(live_row(page, speaker.record.session_id)).to_be_visible()
    old = workers.processes()
    workers.served.process.send_signal(signal.SIGHUP)
    banner = page.locator('[data-about="draining"]')
    expect(banner).to_contain_text("This server is being updated;", timeout=UPDATE_TIMEOUT_S * 1000)
    wait_for(lambda: not old & workers.processes(), "every worker is replaced", UPDATE_TIMEOUT_S)
    expect(banner).to_be_hidden(timeout=UPDATE_TIMEOUT_S * 1000)
    expect(page.locator("[data-connection]")).to_contain_text("Connected", timeout=NEWS_TIMEOUT_MS)
    for speaker in speakers:
        seen = live_row(page, speaker.record.session_id)
        expect(seen.locator("[data-state]")).to_have_text("Live", timeout=NEWS_TIMEOUT_MS)
        assert 4503 in speaker.closes
