"""The picture of one session that all its subscribers in a process share; time that jumps, a database in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from channels.layers import channel_layers, get_channel_layer

from transcription.console.live_publisher import VIEWS_GROUP
from transcription.events import Final
from transcription.subscriptions.picture import MAX_KEPT_SEGMENTS, Picture
from transcription.subscriptions.watched import CHECK_EVERY_S, READ_EVERY_S, WatchedSession
from transcription.tests.live_session import LiveSession, final, interim
from transcription.tests.virtual_time import in_virtual_time
from transcription.tests.watched_site import Site, database_row, facts, segment


@pytest.fixture(autouse=True)
def _own_channel_layer() -> Iterator[None]:
    """A layer that knows nothing of other tests' loops."""
    channel_layers.backends.clear()
    yield
    channel_layers.backends.clear()


async def until(watched: WatchedSession, is_wanted: Callable[[Picture], object]) -> Picture:
    """The first picture that is as wanted."""
    async with asyncio.timeout(60):
        picture = await watched.changed(None)
        while not is_wanted(picture):
            picture = await watched.changed(picture)
        return picture


def texts(picture: Picture) -> list[str]:
    return [each.item.text for each in picture.segments]


def state(picture: Picture) -> str | None:
    return picture.facts.state if picture.facts else None


@in_virtual_time
async def test_it_has_everything_that_is_stored_and_what_is_being_said() -> None:
    async with Site() as site, LiveSession() as session:
        stream = await session.opened()
        stream.say(final("zero"), final("one"))
        await session.until(Final, 2)
        site.hold(session)
        watched = site.views.subscribe("my-id")
        first = await until(watched, lambda picture: picture.row)
        stream.say(final("two"), interim("three"))
        await session.until(Final, 3)
        site.store(session)
        later = await until(watched, lambda picture: len(picture.segments) == 3)
        await site.views.unsubscribe(watched)
        session.stop()

    assert texts(first) == ["zero", "one"]
    assert texts(later) == ["zero", "one", "two"]
    assert later.row is not None
    assert (later.row["interim"], later.row["interim_segment"]) == ("three", 3)


@in_virtual_time
async def test_all_subscribers_of_a_session_share_one_reader() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts()
        both = [site.views.subscribe("my-id"), site.views.subscribe("my-id")]
        await until(both[1], lambda _picture: True)
        asked = site.database.asked.count("read_news")
        await site.views.unsubscribe(both[0])
        site.database.facts["my-id"] = facts("completed")
        await until(both[1], lambda picture: picture.is_over)
        await site.views.unsubscribe(both[1])

    assert both[0] is both[1]
    assert asked == 1


@in_virtual_time
async def test_what_nobody_tells_of_is_read_each_second() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts("created")
        watched = site.views.subscribe("my-id")
        await until(watched, lambda _picture: True)
        started_s = asyncio.get_running_loop().time()
        site.database.segments["my-id"] = [segment(0)]
        await until(watched, lambda picture: picture.segments)
        took_s = asyncio.get_running_loop().time() - started_s
        await site.views.unsubscribe(watched)

    assert took_s <= READ_EVERY_S


@in_virtual_time
async def test_a_final_whose_holder_died_before_it_told_is_found() -> None:
    async with Site() as site, LiveSession() as session:
        await session.opened()
        site.hold(session)
        watched = site.views.subscribe("my-id")
        await until(watched, lambda picture: picture.row)
        # Its last row stands, and nobody says that it does not count any more.
        await site.fall_silent()
        site.database.segments["my-id"] = [segment(0, "the last words")]
        started_s = asyncio.get_running_loop().time()
        found = await until(watched, lambda picture: picture.segments)
        took_s = asyncio.get_running_loop().time() - started_s
        site.database.facts["my-id"] = facts("detached")
        await until(watched, lambda picture: state(picture) == "detached")
        await site.views.unsubscribe(watched)
        session.stop()

    assert texts(found) == ["the last words"]
    assert took_s <= CHECK_EVERY_S


@in_virtual_time
async def test_a_final_is_read_as_soon_as_its_holder_tells_of_one() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts()
        watched = site.views.subscribe("my-id")
        await until(watched, lambda _picture: True)
        await asyncio.sleep(0.5)
        site.database.segments["my-id"] = [segment(0, "zero")]
        row = database_row("my-id", "zero", interim_segment=1)
        message = {"worker": "other", "seq": 1, "whole": True, "rows": [row], "ended": []}
        layer: Any = get_channel_layer()
        await layer.group_send(VIEWS_GROUP, {"type": "live.delta", "delta": json.dumps(message)})
        started_s = asyncio.get_running_loop().time()
        found = await until(watched, lambda picture: picture.segments)
        took_s = asyncio.get_running_loop().time() - started_s
        await site.views.unsubscribe(watched)

    assert texts(found) == ["zero"]
    assert took_s < READ_EVERY_S / 2


@in_virtual_time
async def test_words_that_were_cut_off_are_read_again_until_they_stand() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts("detached")
        site.database.segments["my-id"] = [segment(0), segment(1, "and", tail=True)]
        watched = site.views.subscribe("my-id")
        await until(watched, lambda picture: len(picture.segments) == 2)
        site.database.segments["my-id"] = [segment(0), segment(1, "and so on", epoch=2)]
        later = await until(watched, lambda picture: not picture.segments[-1].item.tail)
        site.database.segments["my-id"] = [segment(0)]
        await site.views.unsubscribe(watched)

    assert texts(later) == ["segment 0", "and so on"]


@in_virtual_time
async def test_more_segments_than_are_kept_leave_the_last_ones() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts()
        watched = site.views.subscribe("my-id")
        await until(watched, lambda _picture: True)
        total = 3 * MAX_KEPT_SEGMENTS
        site.database.segments["my-id"] = [segment(index) for index in range(total)]
        found = await until(watched, lambda picture: picture.segments)
        page = await watched.page(range(5, 8))
        await site.views.unsubscribe(watched)

    assert (found.first_kept, found.next_segment) == (total - MAX_KEPT_SEGMENTS, total)
    assert [each.index for each in page] == [5, 6, 7]


@in_virtual_time
async def test_a_database_that_fails_is_asked_again() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts()
        site.database.segments["my-id"] = [segment(0)]
        site.database.fails = [TimeoutError(), TimeoutError()]
        watched = site.views.subscribe("my-id")
        found = await until(watched, lambda _picture: True)
        await site.views.unsubscribe(watched)

    assert texts(found) == ["segment 0"]


@in_virtual_time
async def test_a_session_that_ends_is_over_once_the_database_says_so() -> None:
    async with Site() as site, LiveSession() as session:
        stream = await session.opened()
        site.hold(session)
        watched = site.views.subscribe("my-id")
        await until(watched, lambda picture: picture.row)
        stream.say(final("zero"), interim("one"))
        session.stop()
        await session.ended()
        site.sessions.clear()
        absent = await until(watched, lambda picture: picture.row is None)
        site.store(session, "completed")
        over = await until(watched, lambda picture: picture.is_over)
        await site.views.unsubscribe(watched)

    assert not absent.is_over
    assert texts(over) == ["zero", "one"]


@in_virtual_time
async def test_a_session_that_was_deleted_is_over_though_another_has_its_id() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts("completed")
        watched = site.views.subscribe("my-id")
        await until(watched, lambda _picture: True)
        site.database.pk += 1
        site.database.facts["my-id"] = facts("live")
        await until(watched, lambda picture: picture.facts is None)
        newer = site.views.subscribe("my-id")
        found = await until(newer, lambda _picture: True)
        await site.views.unsubscribe(watched)
        await site.views.unsubscribe(newer)

    assert state(found) == "live"


@in_virtual_time
async def test_without_a_shared_layer_the_database_tells_everything() -> None:
    async with Site(layer_reaches_all=False) as site:
        site.database.rows = {"elsewhere": database_row("elsewhere", "zero")}
        site.database.facts["elsewhere"] = facts()
        site.database.segments["elsewhere"] = [segment(0)]
        watched = site.views.subscribe("elsewhere")
        await until(watched, lambda picture: picture.row)
        site.database.segments["elsewhere"].append(segment(1))
        found = await until(watched, lambda picture: len(picture.segments) == 2)
        await site.views.unsubscribe(watched)

    assert state(found) == "live"


@in_virtual_time
async def test_the_last_subscriber_takes_the_work_with_them() -> None:
    async with Site() as site:
        site.database.facts["my-id"] = facts()
        both = [site.views.subscribe("my-id"), site.views.subscribe("my-id")]
        await asyncio.sleep(1)
        for watched in both:
            await site.views.unsubscribe(watched)
        site.database.asked.clear()
        await asyncio.sleep(30)

    assert site.database.asked == []
