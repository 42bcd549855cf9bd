"""The whole way, with a real server: words are spoken, another application hears of them, whatever dies in between."""

from __future__ import annotations

import json
import os
import threading
import urllib.request
from collections.abc import Callable, Iterator
from signal import SIGKILL
from typing import Any

import pytest
from asgiref.sync import sync_to_async

from speechsite.tests.served import wait_for
from transcription.fake_riva.audio import spoken, word_texts
from transcription.tests.servers import Server, running_server
from transcription.tests.webhook_receiver import Received, Receiver, Reply

pytestmark = pytest.mark.timeout(180)

AUDIO = spoken(5)
WORDS = " ".join(word_texts(5))
WORKER = "speechsite.server"


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Any]) -> Iterator[Server]:
    with running_server(new_data_dir()) as running:
        yield running


def call(server: Server, method: str, path: str, body: Any = None) -> Any:
    """What the HTTP API answers to a program on this machine."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{server.served.url}/api/v1{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        text = response.read()
    return json.loads(text) if text else None


@pytest.fixture
def subscribed(server: Server) -> Iterator[tuple[Receiver, dict[str, Any]]]:
    """A receiver that hears everything, and its endpoint."""
    with Receiver() as receiver:
        events = ["session.completed", "session.failed", "segment.final"]
        endpoint = call(server, "POST", "/webhooks", {"url": receiver.url, "events": events})
        yield receiver, endpoint
        call(server, "DELETE", f"/webhooks/{endpoint['endpoint_id']}")


def ended(received: list[Received]) -> bool:
    return any(one.event["type"].startswith("session.") for one in received)


async def speak(server: Server, session_id: str) -> None:
    async with server.client(session_id) as client:
        await client.start(title="A call", metadata={"call": "42"})
        await client.speak(AUDIO)
        assert await client.stop() == 1000
    assert client.finals


async def test_what_is_said_reaches_another_application_signed(
    server: Server, subscribed: tuple[Receiver, dict[str, Any]]
) -> None:
    receiver, endpoint = subscribed
    await speak(server, "told")
    received = await sync_to_async(receiver.wait_for)(ended)
    events = [one.verify(endpoint["secret"]) for one in received]
    segments = [
        segment for event in events if event["type"] == "segment.final" for segment in event["data"]["segments"]
    ]
    assert " ".join(segment["text"] for segment in segments) == WORDS
    assert [segment["segment"] for segment in segments] == list(range(len(segments)))
    (completed,) = [event["data"] for event in events if event["type"] == "session.completed"]
    assert (completed["session_id"], completed["state"], completed["metadata"]) == ("told", "completed", {"call": "42"})
    assert completed["segment_count"] == len(segments)


async def test_a_process_killed_in_the_middle_of_an_attempt_loses_no_event(
    server: Server, subscribed: tuple[Receiver, dict[str, Any]]
) -> None:
    receiver, endpoint = subscribed
    hanging = threading.Event()
    receiver.replies.extend(Reply(hold=hanging) for _ in range(2))
    await speak(server, "killed-while-telling")
    first = (await sync_to_async(receiver.wait_for)(lambda received: len(received) == 2))[:2]
    await kill_worker(server)
    hanging.set()
    await sync_to_async(wait_for)(lambda: all_delivered(server, "killed-while-telling"), "everything is delivered")
    ids = [one.event_id for one in receiver.received]
    assert {one.event_id for one in first} == set(ids), "under the same ids as before"
    assert len(ids) == 4
    for one in receiver.received:
        one.verify(endpoint["secret"])


async def test_a_process_killed_just_after_a_session_has_ended_loses_no_event(
    server: Server, subscribed: tuple[Receiver, dict[str, Any]]
) -> None:
    receiver, _endpoint = subscribed
    await speak(server, "killed-after-the-end")
    await kill_worker(server)
    await sync_to_async(wait_for)(lambda: all_delivered(server, "killed-after-the-end"), "everything is delivered")
    assert len({one.event_id for one in receiver.events("session.completed")}) == 1
    texts = {s["segment"]: s["text"] for one in receiver.events("segment.final") for s in one.event["data"]["segments"]}
    assert " ".join(texts[index] for index in sorted(texts)) == WORDS


async def kill_worker(server: Server) -> None:
    """Kill it, and let the time pass after which the leases that it held run out."""
    [pid] = server.served.children(WORKER)
    os.kill(pid, SIGKILL)
    await sync_to_async(wait_for)(lambda: pid not in server.served.children(WORKER), "the worker is dead")
    for table in ("webhookdelivery", "chore"):
        server.rows(f"UPDATE webhooks_{table} SET lease_until = NULL, lease_holder = NULL")  # noqa: S608
    await sync_to_async(wait_for)(server.served.is_ready, "another worker is ready")


def all_delivered(server: Server, session_id: str) -> bool:
    """Whether nothing of a session is left to tell."""
    rows = server.rows(
        "SELECT d.event_type, d.state FROM webhooks_webhookdelivery d "
        "JOIN transcription_transcriptionsession s ON s.id = d.session_id WHERE s.public_id = ?",
        session_id,
    )
    has_end = any(row["event_type"] == "session.completed" for row in rows)
    return has_end and all(row["state"] == "delivered" for row in rows)
