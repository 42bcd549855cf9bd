"""What those who watch see: publisher, channel layer in memory, views; time that jumps, a database in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.layers import channel_layers, get_channel_layer

from transcription.console.live_publisher import MAX_ROWS_EVERY_TICK, SELDOM_TICKS, VIEWS_GROUP, WATCHED_S
from transcription.console.live_view import MAX_FRAMES_WAITING, View
from transcription.services import CONTROL_GROUP
from transcription.tests.live_session import SPEECH, TICK_S, LiveSession, final, interim
from transcription.tests.virtual_time import in_virtual_time
from transcription.tests.watched_site import Site, database_row, numbers

Frame = dict[str, Any]


@pytest.fixture(autouse=True)
def _own_channel_layer() -> Iterator[None]:
    """A layer that knows nothing of other tests' loops."""
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


class Viewer:
    """Reads the frames of a view. `frames` has those that came."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.frames: list[Frame] = []
        self._source = view.frames()

    async def next(self, is_wanted: Callable[[Frame], object]) -> Frame:
        async with asyncio.timeout(60):
            while True:
                frame: Frame = json.loads(await anext(self._source))
                self.frames.append(frame)
                if is_wanted(frame):
                    return frame


def has_row(frame: Frame) -> bool:
    return bool(frame.get("sessions"))


# All live sessions


@in_virtual_time
async def test_a_snapshot_comes_first_and_then_numbered_deltas() -> None:
    async with Site() as site, LiveSession(title="Talk") as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        snapshot = await viewer.next(lambda _frame: True)
        delta = await viewer.next(has_row)
        session.stream.say(interim("hel"))
        later = await viewer.next(lambda frame: has_row(frame) and frame["sessions"][0]["interim"])
        session.stop()

    assert (snapshot["event"], snapshot["kpis"]) == ("snapshot", {"live": 0, "capacity": 10})
    assert delta["event"] == "delta"
    [row] = delta["sessions"]
    assert (row["session_id"], row["title"], row["state"], row["captions_hidden"]) == ("my-id", "Talk", "live", False)
    assert (later["sessions"][0]["interim"], later["seq"] > delta["seq"] > snapshot["seq"]) == ("hel", True)


@in_virtual_time
async def test_a_second_viewer_gets_a_snapshot_with_everything() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        await Viewer(site.views.open(captions=True)).next(has_row)
        snapshot = await Viewer(site.views.open(captions=True)).next(lambda _frame: True)
        session.stop()

    assert snapshot["event"] == "snapshot"
    assert [row["session_id"] for row in snapshot["sessions"]] == ["my-id"]
    assert snapshot["kpis"] == {"live": 1, "capacity": 10}


@in_virtual_time
async def test_only_rows_in_sight_are_told_of_as_they_change() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        view = site.views.open(captions=True)
        viewer = Viewer(view)
        await viewer.next(has_row)
        view.show(["another"])
        await viewer.next(lambda frame: frame["event"] == "kpis")
        told = len(viewer.frames)
        session.stream.say(interim("unseen"))
        await viewer.next(lambda frame: frame["event"] == "kpis")
        unseen = [row for frame in viewer.frames[told:] for row in frame.get("sessions", ())]
        view.show(["my-id", "another"])
        shown = await viewer.next(has_row)
        session.stop()

    assert unseen == []
    assert shown["sessions"][0]["interim"] == "unseen"


@in_virtual_time
async def test_a_session_out_of_sight_is_told_of_when_its_state_changes() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        view = site.views.open(captions=True)
        view.show([])
        viewer = Viewer(view)
        come = await viewer.next(has_row)
        session.stop()
        changed = await viewer.next(has_row)

    assert [frame["sessions"][0]["state"] for frame in (come, changed)] == ["live", "finishing"]


async def times_told_of(site: Site, session: LiveSession, *, seconds: int) -> int:
    """How often the process that holds a session publishes it, while every tick has another interim."""
    layer: Any = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(VIEWS_GROUP, channel)
    for number in range(round(seconds / TICK_S)):
        session.stream.say(interim(f"word {number}"))
        await asyncio.sleep(TICK_S)
    await layer.group_discard(VIEWS_GROUP, channel)
    told = 0
    while channel in layer.channels and not layer.channels[channel].empty():
        delta = json.loads((await layer.receive(channel))["delta"])
        told += session.live.public_id in [row["session_id"] for row in delta["rows"] + delta["changes"]]
    return told


@in_virtual_time
async def test_a_session_in_nobodys_sight_is_published_seldom() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        view, other = site.views.open(captions=True), site.views.open(captions=True)
        await Viewer(view).next(has_row)
        counts = []
        for in_sight, of_other in ((["another"], []), (["another"], ["my-id"]), (["another"], None)):
            view.show(in_sight)
            other.show(of_other)
            await asyncio.sleep(1)
            counts.append(await times_told_of(site, session, seconds=8))
        session.stop()

    assert counts[0] == 8 / (SELDOM_TICKS * TICK_S)
    assert min(counts[1:]) > 3 * counts[0]


@in_virtual_time
async def test_among_many_in_sight_a_session_is_published_every_other_tick() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        view = site.views.open(captions=True)
        await Viewer(view).next(has_row)
        counts = []
        for others in (MAX_ROWS_EVERY_TICK - 1, MAX_ROWS_EVERY_TICK):
            view.show(["my-id", *(f"other-{number}" for number in range(others))])
            await asyncio.sleep(1)
            counts.append(await times_told_of(site, session, seconds=8))
        session.stop()

    # The first tick comes before the first interim.
    assert counts == [8 / TICK_S - 1, 8 / TICK_S / 2 - 1]


@in_virtual_time
async def test_a_session_that_somebody_subscribed_to_is_in_sight() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        watched = site.views.subscribe("my-id")
        await asyncio.sleep(1)
        followed = await times_told_of(site, session, seconds=8)
        await site.views.unsubscribe(watched)
        session.stop()

    assert followed > 3 * 8 / (SELDOM_TICKS * TICK_S)


@in_virtual_time
async def test_what_a_worker_of_the_version_before_watches_is_all_in_sight() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        layer: Any = get_channel_layer()
        await asyncio.sleep(TICK_S)
        await layer.group_send(CONTROL_GROUP, {"type": "live.watch", "whole": True})
        followed = await times_told_of(site, session, seconds=8)
        session.stop()

    assert followed > 3 * 8 / (SELDOM_TICKS * TICK_S)


def test_whoever_looks_at_everything_again_gets_everything() -> None:
    view = View(captions=True)
    view.needs_snapshot = False
    view.show(["one"])
    assert view.wants({"one", "two"}, {"three"}) == {"one", "three"}

    view.show(None)

    assert view.needs_snapshot
    assert view.wants({"one", "two"}, {"three"}) == {"one", "two"}


@in_virtual_time
async def test_a_change_of_a_session_that_nobody_knows_has_everything_told_again() -> None:
    async with Site() as site:
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(lambda frame: frame["event"] == "kpis")
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add(CONTROL_GROUP, channel)
        while not (await layer.receive(channel))["whole"]:
            pass
        change = {
            "worker": "other",
            "seq": 7,
            "whole": False,
            "rows": [{"session_id": "x", "interim": "a"}],
            "ended": [],
        }
        await layer.group_send(VIEWS_GROUP, {"type": "live.delta", "delta": json.dumps(change)})
        async with asyncio.timeout(60):
            asked = await layer.receive(channel)
            while not asked["whole"]:
                asked = await layer.receive(channel)

    assert not any(has_row(frame) for frame in viewer.frames)


@in_virtual_time
async def test_captions_are_hidden_from_those_who_may_not_read_them() -> None:
    async with Site() as site, LiveSession() as session:
        stream = await session.opened()
        site.hold(session)
        reader, other = (Viewer(site.views.open(captions=captions)) for captions in (True, False))
        stream.say(final("secret words"), interim("more secrets"))
        seen = await reader.next(lambda frame: has_row(frame) and frame["sessions"][0]["segments"])
        hidden = await other.next(lambda frame: has_row(frame) and frame["sessions"][0]["segments"])
        session.stop()

    assert (seen["sessions"][0]["final"], seen["sessions"][0]["interim"]) == ("secret words", "more secrets")
    row = hidden["sessions"][0]
    assert (row["final"], row["interim"], row["captions_hidden"]) == (None, "", True)
    assert "secret" not in json.dumps(other.frames)


@in_virtual_time
async def test_an_ended_session_is_told() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        session.stop()
        await session.ended()
        site.sessions.clear()
        frame = await viewer.next(lambda frame: frame.get("ended"))
        kpis = await viewer.next(lambda frame: frame["event"] == "kpis")

    assert (frame["ended"], frame["sessions"]) == (["my-id"], [])
    assert kpis["kpis"]["live"] == 0


@in_virtual_time
async def test_nothing_is_said_while_nothing_changes_but_the_figures() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        for _ in range(5):
            await viewer.next(lambda frame: frame["event"] == "kpis")
        session.stop()

    assert len([frame for frame in viewer.frames if frame["event"] == "delta"]) <= 2


@in_virtual_time
async def test_a_slow_viewer_does_not_grow_and_gets_a_fresh_snapshot() -> None:
    async with Site() as site, LiveSession(idle_timeout_s=3600) as session:
        stream = await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        for number in range(4 * MAX_FRAMES_WAITING):
            session.live.feed(SPEECH[:32])
            stream.say(interim(f"text {number}"))
            await asyncio.sleep(TICK_S)
        last = f"text {4 * MAX_FRAMES_WAITING - 1}"
        before = len(viewer.frames)
        await viewer.next(lambda frame: has_row(frame) and frame["sessions"][0]["interim"] == last)
        session.stop()

    unread = viewer.frames[before:]
    assert len(unread) <= MAX_FRAMES_WAITING + 2
    assert "snapshot" in [frame["event"] for frame in unread]


@in_virtual_time
async def test_nobody_watching_means_nothing_is_published() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        await site.views.close(viewer.view)
        layer: Any = get_channel_layer()
        channel = await layer.new_channel()
        await layer.group_add("live.views", channel)
        await asyncio.sleep(WATCHED_S + 1)
        while channel in layer.channels and not layer.channels[channel].empty():
            await layer.receive(channel)
        session.stream.say(interim("unheard"))
        await asyncio.sleep(2)
        session.stop()

    assert channel not in layer.channels or layer.channels[channel].empty()


@in_virtual_time
async def test_a_stop_nudge_reaches_the_process_that_holds_sessions() -> None:
    async with Site() as site:
        await asyncio.sleep(0.1)
        layer: Any = get_channel_layer()
        await layer.group_send(CONTROL_GROUP, {"type": "live.stop", "session_id": "my-id"})
        await asyncio.sleep(0.1)

    assert site.nudges == 1


# Sessions whose client may still come back


@in_virtual_time
async def test_a_session_that_waits_for_its_client_is_listed_but_holds_no_place() -> None:
    async with Site() as site:
        site.database.rows = {"away": database_row("away", "hello", "detached")}
        viewer = Viewer(site.views.open(captions=True))
        frame = await viewer.next(has_row)
        kpis = await viewer.next(lambda frame: frame["event"] == "kpis")
        site.database.rows = {}
        ended = await viewer.next(lambda frame: frame.get("ended"))

    assert [row["state"] for row in frame["sessions"]] == ["detached"]
    assert kpis["kpis"]["live"] == 0
    assert ended["ended"] == ["away"]


@in_virtual_time
async def test_a_session_whose_client_leaves_and_returns_never_goes_from_the_list() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        site.database.rows = {"my-id": database_row("my-id", "hello", "detached")}
        site.sessions.clear()
        away = await viewer.next(has_row)
        site.hold(session)
        site.database.rows = {}
        back = await viewer.next(has_row)
        await asyncio.sleep(5)
        session.stop()
        await session.ended()
        site.sessions.clear()
        await viewer.next(lambda frame: frame.get("ended"))

    assert [frame["sessions"][0]["state"] for frame in (away, back)] == ["detached", "live"]
    assert [frame for frame in viewer.frames if frame.get("ended")] == viewer.frames[-1:]


@in_virtual_time
async def test_what_an_older_holder_says_late_does_not_end_what_another_took() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        late = {"worker": "older", "seq": 1, "whole": False, "rows": [], "ended": ["my-id"]}
        layer: Any = get_channel_layer()
        await layer.group_send(VIEWS_GROUP, {"type": "live.delta", "delta": json.dumps(late)})
        await asyncio.sleep(5)
        listed = await Viewer(site.views.open(captions=True)).next(lambda _frame: True)
        session.stop()

    assert [row["session_id"] for row in listed["sessions"]] == ["my-id"]


# Without a layer that reaches all


@in_virtual_time
async def test_without_a_shared_layer_the_database_is_read_each_second() -> None:
    async with Site(layer_reaches_all=False) as site:
        site.database.rows = {"elsewhere": database_row("elsewhere", "hello")}
        viewer = Viewer(site.views.open(captions=True))
        found = await viewer.next(has_row)
        started_s = asyncio.get_running_loop().time()
        site.database.rows = {"elsewhere": database_row("elsewhere", "world")}
        await viewer.next(lambda frame: has_row(frame) and frame["sessions"][0]["final"] == "world")
        took_s = asyncio.get_running_loop().time() - started_s
        site.database.rows = {}
        ended = await viewer.next(lambda frame: frame.get("ended"))

    assert found["sessions"][0]["final"] == "hello"
    assert took_s <= 1.5
    assert ended["ended"] == ["elsewhere"]


@in_virtual_time
async def test_the_last_viewer_takes_the_work_with_them() -> None:
    async with Site() as site:
        first, second = site.views.open(captions=True), site.views.open(captions=False)
        await asyncio.sleep(1)
        await site.views.close(first)
        await site.views.close(second)
        site.database.asked.clear()
        await asyncio.sleep(30)

    assert site.database.asked == []


# What the page shows beside the rows


def kpis_with(name: str, value: object) -> Callable[[Frame], bool]:
    return lambda frame: frame["event"] == "kpis" and frame["kpis"].get(name) == value


@in_virtual_time
async def test_the_figures_come_from_the_database_and_from_what_is_live() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        site.database.numbers = numbers(sessions_today=3, audio_today_ms=5000, first_interims_ms=(400,))
        viewer = Viewer(site.views.open(captions=True))
        session.live.feed(SPEECH)
        frame = await viewer.next(kpis_with("audio_today_ms", 6000))
        session.stop()

    assert (frame["kpis"]["sessions_today"], frame["kpis"]["first_interim_p50_ms"]) == (3, 400)
    assert frame["kpis"]["draining"] is None


@in_virtual_time
async def test_no_figure_falls_when_a_session_ends() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        session.live.feed(SPEECH)
        await viewer.next(kpis_with("audio_today_ms", 1000))
        session.stop()
        await session.finished()
        del site.sessions["my-id"]
        await viewer.next(lambda frame: "my-id" in frame.get("ended", ()))
        frame = await viewer.next(lambda frame: frame["event"] == "kpis")

    assert frame["kpis"]["audio_today_ms"] == 1000


@in_virtual_time
async def test_a_session_that_failed_is_shown_for_a_while_and_is_no_live_one() -> None:
    async with Site() as site:
        viewer = Viewer(site.views.open(captions=False))
        await viewer.next(lambda frame: frame["event"] == "kpis")
        site.database.failed = {"broken": database_row("broken", "words", "failed", error="The recogniser failed.")}
        shown = await viewer.next(has_row)
        late = Viewer(site.views.open(captions=True))
        snapshot = await late.next(has_row)
        site.database.failed = {}
        gone = await viewer.next(lambda frame: frame.get("ended"))

    [row] = shown["sessions"]
    assert (row["state"], row["error"], row["captions_hidden"]) == ("failed", "The recogniser failed.", True)
    assert (snapshot["event"], snapshot["sessions"][0]["final"], snapshot["kpis"]["live"]) == ("snapshot", "words", 0)
    assert gone["ended"] == ["broken"]


@in_virtual_time
async def test_sessions_of_a_process_that_ends_are_counted_as_finishing() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        viewer = Viewer(site.views.open(captions=True))
        await viewer.next(has_row)
        site.is_draining = True
        await viewer.next(kpis_with("draining", 1))
        session.stop()


@in_virtual_time
async def test_a_session_out_of_sight_is_told_of_when_it_becomes_slow() -> None:
    async with Site(layer_reaches_all=False) as site:
        site.database.rows = {"far": database_row("far", "words", backlog_ms=0)}
        view = site.views.open(captions=True)
        viewer = Viewer(view)
        await viewer.next(has_row)
        view.show([])
        site.database.rows = {"far": database_row("far", "words", backlog_ms=9000)}
        changed = await viewer.next(has_row)

    assert changed["sessions"][0]["backlog_ms"] == 9000


@in_virtual_time
async def test_the_database_is_not_asked_for_figures_where_nobody_looks_at_the_list() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.store(session)
        watched = site.views.subscribe("my-id")
        await asyncio.sleep(60)
        await site.views.unsubscribe(watched)
        session.stop()

    assert not {"read_numbers", "read_failed_rows"} & set(site.database.asked)
