"""`manage.py serve`: the whole service, from one command."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import socket
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DEFAULT_DB_ALIAS, DatabaseError, connections
from django.db.migrations.executor import MigrationExecutor
from django.utils.translation import ngettext

from speechsite.checks import TAG
from speechsite.config import Config, get_config
from speechsite.embedded import (
    LOOPBACK,
    check_engine,
    free_loopback_port,
    recogniser_spec,
    wait_until_it_answers,
)
from speechsite.load_board import LoadBoard
from speechsite.supervisor import ChildSpec, StartFailed, Supervisor

LISTEN_BACKLOG = 2048
MAX_PORT = 65535
WILDCARD_HOSTS = ("0.0.0.0", "::", "")  # noqa: S104 - recognised here, bound only when asked for


class Command(BaseCommand):
    help = (
        "Serve the site: starts the workers and, unless RIVA_SERVER is set, the embedded recogniser; "
        "restarts what dies; ends everything on Ctrl-C or SIGTERM. SIGHUP replaces the workers one by one; "
        "SIGUSR1 drains them."
    )
    # The others look for mistakes of the code, and take a second of what the start may take.
    requires_system_checks = (TAG,)

    def add_arguments(self, parser: ArgumentParser) -> None:
        config = get_config()
        parser.add_argument("--host", default=config.host, help="address to listen on (HOST; %(default)s)")
        parser.add_argument("--port", type=int, default=config.port, help="0: any free one (PORT; %(default)s)")
        parser.add_argument("--workers", type=int, default=config.workers, help="processes (WORKERS; %(default)s)")

        parser.add_argument(
            "--set-up",
            action="store_true",
            help="first migrate the database and make sure that there is an operator account, as `make serve` does",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        config = get_config()
        host, port, workers = options["host"], options["port"], options["workers"]
        if not 0 <= port <= MAX_PORT:
            raise CommandError(f"--port must be between 0 and {MAX_PORT}, not {port}.")
        if workers < 1:
            raise CommandError(f"--workers must be at least 1, not {workers}.")
        if options["set_up"]:
            call_command("migrate", verbosity=0, interactive=False)
            call_command("ensure_operator", stdout=self.stdout)
        try:
            self._check(config)
            with listen(host, port) as listener, metrics_folder(workers) as folder:
                self._warn(config, workers)
                asyncio.run(self._serve(config, listener, workers, folder))
        except StartFailed as error:
            raise CommandError(str(error)) from None

    def _check(self, config: Config) -> None:
        """What would otherwise fail later and less clearly. Raises StartFailed."""
        if not config.riva_server:
            check_engine()
        if config.is_production and not (Path(settings.STATIC_ROOT) / "staticfiles.json").exists():
            raise StartFailed("The static files are not collected: run `manage.py collectstatic --noinput` first.")
        connection = connections[DEFAULT_DB_ALIAS]
        try:
            executor = MigrationExecutor(connection)
            missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        except DatabaseError as error:
            raise StartFailed(f"DATABASE_URL: the database does not answer: {str(error).strip()}") from None
        finally:
            connection.close()
        if missing:
            text = ngettext(
                "The database lacks %(count)d migration", "The database lacks %(count)d migrations", len(missing)
            )
            raise StartFailed(f"{text % {'count': len(missing)}}: run `manage.py migrate` first.")

    def _warn(self, config: Config, workers: int) -> None:
        if workers > 1 and not config.redis_url:
            self._say(
                f"Warning: {workers} workers without REDIS_URL: live pages ask the database once a second instead."
            )
        if config.is_production and not config.forwarded_allow_ips:
            self._say(
                "Warning: FORWARDED_ALLOW_IPS is empty: what a proxy says of https and of client addresses is "
                "not believed, and pages redirect to https."
            )

    async def _serve(self, config: Config, listener: socket.socket, workers: int, folder: str | None) -> None:
        host, port = listener.getsockname()[:2]
        environment = {**os.environ, "HOST": str(host), "PORT": str(port), "WORKERS": str(workers)}
        if folder:
            environment["PROMETHEUS_MULTIPROC_DIR"] = folder
        with pipe() as (life_fd, _), pipe() as (recogniser_life_fd, recogniser_held_fd):
            recogniser = recogniser_ready = None
            inherited = [listener.fileno(), life_fd]
            # A single worker takes everything. One slot more: a successor starts before its predecessor ends.
            board = LoadBoard.create(workers + 1) if workers > 1 else None
            if board is not None:
                inherited.append(board.fd)
            if not config.riva_server:
                address = f"{LOOPBACK}:{(recogniser_port := free_loopback_port())}"
                recogniser = recogniser_spec(config, recogniser_port, recogniser_life_fd)
                # Plain on loopback, whatever the settings say of a Riva elsewhere.
                environment |= {"RIVA_SERVER": address, "RIVA_USE_TLS": "false"}
                # Workers hold its pipe open too: should this process vanish, it outlives their last finals.
                inherited.append(recogniser_held_fd)

                async def recogniser_ready() -> None:
                    await wait_until_it_answers(address)

            def worker(slot: int) -> ChildSpec:
                gate = () if board is None else ("--board-fd", str(board.fd), "--slot", str(slot))
                return worker_spec(listener.fileno(), life_fd, environment, tuple(inherited), gate)

            def on_worker_exit(pid: int, slot: int) -> None:
                if board is not None:
                    board.clear(slot)
                forget_metrics(folder, pid)

            await Supervisor(
                worker=worker,
                workers=workers,
                recogniser=recogniser,
                recogniser_ready=recogniser_ready,
                on_ready=lambda: self._announce(config, str(host), int(port)),
                on_worker_exit=on_worker_exit,
            ).run()

    def _announce(self, config: Config, host: str, port: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        site = f"http://{shown}:{port}"
        self._say(f"Listening on {site}/")
        if host in WILDCARD_HOSTS:
            site = f"http://{LOOPBACK}:{port}"
            self._say(f"  here         {site}/")
        recogniser = ", ".join(config.riva_server) if config.riva_server else "embedded"
        for name, where in (
            ("console", f"{site}/console/"),
            ("admin", f"{site}/admin/"),
            ("API", f"{site}/api/"),
            ("recogniser", recogniser),
        ):
            self._say(f"  {name:<12} {where}")
        self._say("Ctrl-C ends it.")

    def _say(self, line: str) -> None:
        # Whoever reads the addresses from a pipe gets them at once.
        self.stdout.write(line)
        sys.stdout.flush()


def worker_spec(
    socket_fd: int, life_fd: int, environment: dict[str, str], inherited: tuple[int, ...], gate: tuple[str, ...]
) -> ChildSpec:
    arguments = ("-m", "speechsite.server", "--socket-fd", str(socket_fd), "--life-fd", str(life_fd), *gate)
    return ChildSpec("worker", (*arguments, "--parent-fd", "{parent_fd}"), environment, inherited, tells_ready=True)


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """The listening socket of all workers. Raises StartFailed."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=LISTEN_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartFailed(f"Port {port} of {host} is in use. Choose another with --port or PORT.") from None
        raise StartFailed(f"Cannot listen on {host}, port {port}: {error.strerror or error}.") from None
    with listener:
        yield listener


@contextmanager
def pipe() -> Iterator[tuple[int, int]]:
    read_fd, write_fd = os.pipe()
    try:
        yield read_fd, write_fd
    finally:
        os.close(read_fd)
        os.close(write_fd)


@contextmanager
def metrics_folder(workers: int) -> Iterator[str | None]:
    """Where several workers add up their metrics; None for a single one, which needs no files."""
    if workers == 1:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="speechsite-metrics-")
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def forget_metrics(folder: str | None, pid: int) -> None:
    """A worker ended: its gauges of live things are void, its counters stay."""
    if folder:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(pid, folder)
