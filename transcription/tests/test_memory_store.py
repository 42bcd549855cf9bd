"""The store in memory keeps the rules that tests of live transcription rely on."""

from __future__ import annotations

import asyncio

import pytest

from transcription.errors import AtCapacity, NotAuthenticated, SessionTaken, StorageUnavailable
from transcription.identity.principals import LOCAL, Principal
from transcription.storage.store import Ending, Fenced, SessionStore
from transcription.tests.memory_store import MemoryStore
from transcription.tests.sessions import new_session, segment, step

AWAY = StorageUnavailable("away")


async def test_it_can_stand_in_for_the_store() -> None:
    store: SessionStore = MemoryStore()
    handle = await store.create(new_session("first"))
    await store.opened(handle, recogniser="r", model="m", applied={})
    await store.commit(step(handle, segment(0), committed_bytes=100))
    await store.finish(handle, Ending("completed", "client"))


async def test_a_step_committed_twice_is_kept_once() -> None:
    store = MemoryStore()
    handle = await store.create(new_session("first"))
    for _ in range(2):
        await store.commit(step(handle, segment(0), committed_bytes=100))
    row = store.sessions["first"]
    assert ([part.index for part in row.segments], row.committed_bytes) == ([0], 100)


async def test_an_old_epoch_is_fenced() -> None:
    store = MemoryStore()
    handle = await store.create(new_session("first"))
    store.take_away("first")
    for change in (
        store.commit(step(handle, segment(0))),
        store.finish(handle, Ending("completed", "client")),
        store.opened(handle, recogniser="r", model="m", applied={}),
    ):
        with pytest.raises(Fenced):
            await change


async def test_an_ended_session_takes_nothing_more() -> None:
    store = MemoryStore()
    handle = await store.create(new_session("first"))
    for _ in range(2):
        await store.finish(handle, Ending("completed", "client"))
    with pytest.raises(Fenced):
        await store.commit(step(handle, segment(0)))


async def test_it_refuses_ids_that_exist_and_more_than_there_are_places() -> None:
    store = MemoryStore(max_sessions=1)
    await store.create(new_session("first"))
    with pytest.raises(SessionTaken):
        await store.create(new_session("first"))
    with pytest.raises(AtCapacity):
        await store.create(new_session("second"))


async def test_a_made_session_is_its_owners_and_its_token_works_once() -> None:
    store = MemoryStore()
    store.make_created("made", LOCAL, {"language": "de-DE"})
    assert await store.created_config("made", LOCAL) == {"language": "de-DE"}
    assert await store.created_config("made", Principal("user", user_id=1)) is None
    token = Principal("token", session_id="made")
    await store.create(new_session("made", token))
    with pytest.raises(NotAuthenticated):
        await store.create(new_session("made", token))


async def test_faults_come_in_the_order_of_the_script() -> None:
    store = MemoryStore(fail_commits=[AWAY, None], lost_replies=[AWAY])
    handle = await store.create(new_session("first"))
    with pytest.raises(StorageUnavailable):
        await store.commit(step(handle, segment(0)))
    assert store.sessions["first"].segments == []
    with pytest.raises(StorageUnavailable):
        await store.commit(step(handle, segment(0)))
    assert len(store.sessions["first"].segments) == 1
    await store.commit(step(handle, segment(0)))


async def test_commits_wait_at_the_gate() -> None:
    gate = asyncio.Event()
    store = MemoryStore(gate=gate)
    handle = await store.create(new_session("first"))
    commit = asyncio.create_task(store.commit(step(handle, segment(0))))
    await asyncio.sleep(0)
    assert store.sessions["first"].segments == []
    gate.set()
    assert len((await store.wait_until("first", segments=1)).segments) == 1
    await commit
