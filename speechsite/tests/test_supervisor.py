"""`manage.py serve` keeps its processes running, and ends every one of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from speechsite.config import BASE_DIR
from speechsite.supervisor import Child, ChildSpec, restart_delays_s
from speechsite.tests.served import Served, manage, processes, wait_for

# Each starts whole services, which takes seconds alone and much longer on a busy machine.
pytestmark = pytest.mark.timeout(240)

RECOGNISER = "transcription.asr_server"
WORKER = "speechsite.server"


def spec(program: str, *, tells_ready: bool = False) -> ChildSpec:
    arguments = ("-c", program, "{parent_fd}") if tells_ready else ("-c", program)
    return ChildSpec("child", arguments, dict(os.environ), (), tells_ready)


def test_restarts_come_after_a_doubling_delay_with_a_bound() -> None:
    assert list(itertools.islice(restart_delays_s(), 9)) == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10.0, 10.0]


async def test_a_child_that_ends_is_started_again() -> None:
    ended: list[int] = []
    child = Child(spec("raise SystemExit(3)"), on_exit=ended.append)

    child.start()
    try:
        async with asyncio.timeout(30):
            while len(ended) < 2:  # noqa: ASYNC110 - the restarts are another process's, not an event of ours
                await asyncio.sleep(0.05)
    finally:
        await child.stop()

    assert len(set(ended)) >= 2
    assert child.failed_starts >= 2


async def test_a_child_that_does_not_end_is_killed() -> None:
    deaf = (
        "import os, signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "os.write(int(sys.argv[1]), b'1'); time.sleep(600)"
    )
    child = Child(spec(deaf, tells_ready=True), kill_after_s=0.2)

    child.start()
    async with asyncio.timeout(30):
        await child.ready.wait()
    assert child.process is not None
    process = child.process
    await child.stop()

    assert process.returncode == -signal.SIGKILL


async def test_a_child_stopped_while_it_starts_ends_too() -> None:
    child = Child(spec("import time; time.sleep(600)"))

    child.start()
    await child.stop()

    assert child.process is None or child.process.returncode is not None


@pytest.fixture
def served(new_data_dir: Callable[[], Path]) -> Iterator[Served]:
    with Served(new_data_dir()) as service:
        yield service


@pytest.fixture(scope="module")
def lasting(new_data_dir: Callable[[], Path]) -> Iterator[Served]:
    """For tests after which it still runs."""
    with Served(new_data_dir()) as service:
        yield service


def all_children(service: Served) -> list[int]:
    return service.children(RECOGNISER) + service.children(WORKER)


def are_gone(pids: list[int]) -> bool:
    return not set(pids) & {running.pid for running in processes()}


def test_the_children_do_not_share_the_terminals_session(lasting: Served) -> None:
    """Otherwise Ctrl-C would reach the recogniser before the last words are recognised."""
    for pid in all_children(lasting):
        assert os.getsid(pid) == pid


def test_a_killed_recogniser_is_restarted(lasting: Served) -> None:
    wait_for(lasting.is_ready, "ready at first")
    [before] = lasting.children(RECOGNISER)

    os.kill(before, signal.SIGKILL)

    wait_for(lambda: lasting.children(RECOGNISER) not in ([], [before]), "another recogniser")
    wait_for(lasting.is_ready, "ready again")


def test_a_killed_worker_is_restarted_behind_the_same_address(lasting: Served) -> None:
    [before] = lasting.children(WORKER)

    os.kill(before, signal.SIGKILL)

    wait_for(lambda: lasting.children(WORKER) not in ([], [before]), "another worker")
    wait_for(lambda: lasting.get("/healthz")[0] == 200, "answers again")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_with_code_0(served: Served, number: signal.Signals) -> None:
    children = all_children(served)
    assert len(children) == 2

    code = served.stop(number)

    assert code == 0
    assert are_gone(children)
    assert "Traceback" not in served.output


def test_a_second_signal_kills_at_once(served: Served) -> None:
    children = all_children(served)
    for pid in children:
        # A stopped process answers no request to end, however long one waits.
        os.kill(pid, signal.SIGSTOP)

    served.process.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping" in served.output, "the first signal is heard")
    code = served.stop(signal.SIGINT)

    assert code == 0
    assert are_gone(children)


def test_nothing_is_left_when_the_parent_is_killed(served: Served) -> None:
    children = all_children(served)
    assert len(children) == 2

    served.stop(signal.SIGKILL)

    wait_for(lambda: are_gone(children), "the children are gone")


def test_a_hangup_replaces_the_workers_and_keeps_answering(new_data_dir: Callable[[], Path]) -> None:
    with Served(new_data_dir(), "--workers", "2", RIVA_SERVER="127.0.0.1:9") as service:
        before = set(service.children(WORKER))
        statuses = []

        service.process.send_signal(signal.SIGHUP)

        def is_replaced() -> bool:
            statuses.append(service.get("/healthz")[0])
            now = set(service.children(WORKER))
            return len(now) == 2 and not now & before

        wait_for(is_replaced, "two other workers")
        assert set(statuses) == {200}


def test_several_workers_share_the_port_and_add_up_their_metrics(new_data_dir: Callable[[], Path]) -> None:
    with Served(new_data_dir(), "--workers", "2", RIVA_SERVER="127.0.0.1:9") as service:
        assert len(service.children(WORKER)) == 2
        assert service.output.count("without REDIS_URL") == 1

        status, body = service.get("/metrics")

    assert status == 200
    assert "speech_sessions_live 0.0" in body


async def test_a_killed_worker_takes_only_its_share_of_the_connections(new_data_dir: Callable[[], Path]) -> None:
    count = 40

    async def is_open(connection: ClientConnection) -> bool:
        try:
            await (await connection.ping())
        except ConnectionClosed:
            return False
        return True

    with Served(new_data_dir(), "--workers", "2", RIVA_SERVER="127.0.0.1:9") as service:
        url = service.url.replace("http", "ws", 1) + "/api/v1/transcribe/"
        opened = [await connect(f"{url}of-the-share-{number}") for number in range(count)]

        os.kill(service.children(WORKER)[0], signal.SIGKILL)
        left = sum(await asyncio.gather(*map(is_open, opened)))

        assert abs(left - count / 2) <= count / 10
        for connection in opened:
            connection.transport.abort()


def test_it_starts_no_recogniser_where_a_riva_server_is_set(new_data_dir: Callable[[], Path]) -> None:
    with Served(new_data_dir(), RIVA_SERVER="127.0.0.1:9") as service:
        assert service.children(RECOGNISER) == []

        status, body = service.get("/readyz")

    assert status == 503
    assert '"name": "recogniser", "ok": false' in body
    assert '"name": "database", "ok": true' in body


def test_a_port_in_use_is_said_in_one_sentence(new_data_dir: Callable[[], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        outcome = manage("serve", "--port", str(port), data_dir=new_data_dir())

    assert outcome.returncode == 1
    assert f"Port {port} of 127.0.0.1 is in use" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_the_port_may_come_from_the_environment(new_data_dir: Callable[[], Path]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        outcome = manage("serve", data_dir=new_data_dir(), PORT=str(port))

    assert f"Port {port} " in outcome.stderr


def test_a_database_that_was_not_migrated_is_said(tmp_path: Path) -> None:
    outcome = manage("serve", "--port", "0", data_dir=tmp_path)

    assert outcome.returncode == 1
    assert " migrations: run `manage.py migrate` first." in outcome.stderr


def test_one_migration_that_is_missing_is_one(new_data_dir: Callable[[], Path]) -> None:
    data_dir = new_data_dir()
    *_, last = sorted(path.stem for path in (BASE_DIR / "transcription" / "migrations").glob("0*.py"))
    with contextlib.closing(sqlite3.connect(data_dir / "speechsite.sqlite3")) as database:
        database.execute("DELETE FROM django_migrations WHERE app = 'transcription' AND name = ?", [last])
        database.commit()

    outcome = manage("serve", "--port", "0", data_dir=data_dir)

    assert "The database lacks 1 migration: run `manage.py migrate` first." in outcome.stderr


def test_production_wants_its_static_files_collected(new_data_dir: Callable[[], Path]) -> None:
    outcome = manage(
        "serve",
        "--port",
        "0",
        data_dir=new_data_dir(),
        ENVIRONMENT="production",
        SECRET_KEY="for-tests-only-" * 3,
        ALLOWED_HOSTS="speech.example.org",
        DATABASE_URL="sqlite://",
    )

    assert outcome.returncode == 1
    assert "collectstatic" in outcome.stderr
