"""/healthz, /readyz and /metrics, and the checks behind them."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from django.contrib.auth.models import User
from django.db import OperationalError, connections
from django.db.models.functions import Now

from speechsite.health import CheckFailed, DatabaseProbe, Health, LoopLag, Report, check_channel_layer
from speechsite.probes import Probes, render
from transcription.models import ApiKey

T = TypeVar("T")


async def in_thread(function: Callable[[], T]) -> T:
    """Run a function that uses the database; its thread ends with the test and must not keep a place in the pool."""

    def run() -> T:
        try:
            return function()
        finally:
            connections.close_all()

    return await asyncio.to_thread(run)


async def fine() -> str:
    return "as it should be"


async def broken() -> str:
    raise CheckFailed("does not answer")


async def report_of(**checks: tuple[bool, Any]) -> Report:
    return await Health(checks).report()


async def test_it_is_ready_when_every_required_check_passes() -> None:
    report = await report_of(database=(True, fine), layer=(False, broken))

    assert report.is_ready
    assert [(check.name, check.ok, check.detail) for check in report.checks] == [
        ("database", True, "as it should be"),
        ("layer", False, "does not answer"),
    ]


async def test_it_is_not_ready_without_a_required_check() -> None:
    assert not (await report_of(database=(True, broken), layer=(False, fine))).is_ready


async def test_the_report_has_a_line_for_each_check_with_milliseconds() -> None:
    text = render(await report_of(database=(True, fine), layer=(False, broken))).decode()

    assert json.loads(text)["status"] == "ready"
    lines = [line for line in text.splitlines() if '"name"' in line]
    assert len(lines) == 2
    assert all('"duration_ms": ' in line for line in lines)


async def test_many_probes_at_once_run_the_checks_once() -> None:
    runs = 0
    gate = asyncio.Event()

    async def counted() -> str:
        nonlocal runs
        runs += 1
        await gate.wait()
        return ""

    health = Health({"database": (True, counted)})
    asking = [asyncio.create_task(health.report()) for _ in range(20)]
    await asyncio.sleep(0)
    asking[0].cancel()
    gate.set()
    await asyncio.gather(*asking, return_exceptions=True)
    await health.report()

    assert runs == 1


@pytest.mark.django_db(transaction=True)
async def test_the_database_answers_on_a_thread_of_its_own() -> None:
    assert await DatabaseProbe().check() in ("sqlite", "postgresql")


async def test_a_database_that_hangs_fails_the_check_and_gets_no_second_query() -> None:
    queries = 0
    release = threading.Event()

    def hang() -> None:
        nonlocal queries
        queries += 1
        release.wait(30)

    probe = DatabaseProbe(hang, timeout_s=0.05)
    try:
        for _ in range(3):
            with pytest.raises(CheckFailed, match="no answer"):
                await probe.check()
    finally:
        release.set()

    assert queries == 1


async def test_a_database_error_is_not_told_in_the_servers_own_words() -> None:
    def refuse() -> None:
        raise OperationalError('connection to server at "10.1.2.3", user "speech" failed')

    with pytest.raises(CheckFailed) as caught:
        await DatabaseProbe(refuse).check()

    assert str(caught.value) == "does not answer"


async def test_a_message_goes_round_the_channel_layer() -> None:
    assert await check_channel_layer() in ("in-process", "Redis")


async def test_a_blocked_loop_is_noticed_while_it_is_blocked() -> None:
    now_s = 100.0
    lag = LoopLag(clock=lambda: now_s)
    lag.start()
    await asyncio.sleep(0)
    healthy_before = lag.is_healthy

    now_s += 10

    assert healthy_before
    assert not lag.is_healthy
    await lag.aclose()


class Answer:
    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.body = b""

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], dict(message["headers"])
        else:
            self.body += message["body"]


async def not_a_probe(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})


async def receive() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


async def ask(
    path: str,
    *,
    method: str = "GET",
    client: str = "127.0.0.1",
    asked: Any = None,
    **headers: str,
) -> Answer:
    answer = Answer()
    scope: Any = {
        "type": "http",
        "method": method,
        "path": path,
        "client": (client, 4711),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    drains = asked if asked is not None else []
    await Probes(not_a_probe, request_drain=lambda: drains.append("drain"))(scope, receive, answer.send)
    return answer


async def test_healthz_answers_without_django() -> None:
    answer = await ask("/healthz")

    assert answer.status == 200
    assert json.loads(answer.body)["status"] == "ok"
    assert answer.headers[b"cache-control"] == b"no-store"


async def test_a_head_request_gets_no_body() -> None:
    answer = await ask("/healthz", method="HEAD")

    assert (answer.status, answer.body) == (200, b"")


async def test_other_methods_are_refused() -> None:
    answer = await ask("/healthz", method="POST")

    assert answer.status == 405
    assert answer.headers[b"allow"] == b"GET, HEAD"


async def test_other_paths_go_to_the_application() -> None:
    assert (await ask("/healthz/")).status == 418


async def test_metrics_are_open_to_this_machine() -> None:
    answer = await ask("/metrics")

    assert answer.status == 200
    assert b"speech_sessions_live" in answer.body


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("203.0.113.5", {}),
        ("203.0.113.5", {"authorization": "Bearer spk_00000000_nonsense"}),
        ("127.0.0.1", {"x_forwarded_for": "203.0.113.5"}),
    ],
    ids=["elsewhere", "wrong key", "through a proxy here"],
)
async def test_metrics_are_refused_to_others(client: str, headers: dict[str, str]) -> None:
    answer = await ask("/metrics", client=client, **headers)

    assert answer.status == 401
    assert b"speech_" not in answer.body


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("header", ["authorization", "x_api_key"])
async def test_metrics_are_open_to_a_key_made_for_them(header: str) -> None:
    _, text = await in_thread(lambda: ApiKey.create("prometheus", scopes=["metrics"]))

    value = f"Bearer {text}" if header == "authorization" else text
    answer = await ask("/metrics", client="203.0.113.5", **{header: value})

    assert answer.status == 200


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("fields", [{}, {"scopes": ["metrics"], "revoked_at": Now()}])
async def test_metrics_are_closed_to_a_key_without_the_scope_and_to_a_revoked_one(fields: Any) -> None:
    _, text = await in_thread(lambda: ApiKey.create("prometheus", **fields))

    assert (await ask("/metrics", client="203.0.113.5", authorization=f"Bearer {text}")).status == 401


async def test_a_drain_is_asked_for_from_this_machine() -> None:
    asked: list[str] = []

    answer = await ask("/drain", method="POST", asked=asked)

    assert (answer.status, asked) == (202, ["drain"])
    assert json.loads(answer.body) == {"status": "draining", "live_sessions": 0}


async def test_looking_at_the_address_drains_nothing() -> None:
    asked: list[str] = []

    answer = await ask("/drain", asked=asked)

    assert (answer.status, asked) == (405, [])
    assert answer.headers[b"allow"] == b"POST"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("client", "headers"),
    [
        ("203.0.113.5", {}),
        ("127.0.0.1", {"x_forwarded_for": "203.0.113.5"}),
        ("127.0.0.1", {"origin": "https://evil.example"}),
    ],
    ids=["elsewhere", "through a proxy here", "a page in a browser here"],
)
async def test_a_drain_is_refused_to_others(client: str, headers: dict[str, str]) -> None:
    asked: list[str] = []

    answer = await ask("/drain", method="POST", client=client, asked=asked, **headers)

    assert (answer.status, asked) == (403, [])


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("is_superuser", "status"), [(True, 202), (False, 403)])
async def test_from_elsewhere_a_drain_needs_the_key_of_a_superuser(is_superuser: bool, status: int) -> None:
    def make_key() -> str:
        owner = User.objects.create(username="deployer", is_superuser=is_superuser)
        return ApiKey.create("deploy", owner)[1]

    key = await in_thread(make_key)

    answer = await ask("/drain", method="POST", client="203.0.113.5", x_api_key=key)

    assert answer.status == status
