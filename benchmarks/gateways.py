"""What is measured: this service and its peers, each started as a person would, pinned to the gateway's core."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from speechsite.config import BASE_DIR, Config

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 45.0
POLL_S = 0.05
MAX_SESSIONS = 5000


@dataclass(frozen=True)
class Gateway:
    """command: with {port} and {riva} to be filled in. protocol: of benchmarks.load. lacks: said beside its figures."""

    name: str
    command: str
    protocol: str
    lacks: str = ""
    settings: dict[str, str] = field(default_factory=dict)


SPEECHSITE = Gateway("speechsite", "{python} manage.py serve --port {port} --workers 1", "native")


def speechsite_without(*parts: str) -> Gateway:
    """The service without parts that benchmarks.without can leave out, in one process without its parent."""
    left_out = " ".join(f"--leave-out {part}" for part in parts)
    return Gateway("speechsite", f"{{python}} -m benchmarks.without {left_out} --port {{port}}", "native")


ARTICLE_FASTAPI = Gateway(
    "article-fastapi",
    "{python} -m benchmarks.peers.article_fastapi --port {port} --riva {riva}",
    "json",
    "stores, acknowledges, limits and recovers nothing; no sign-in, no live view",
)
FLASK_SOCKETIO = Gateway(
    "flask-socketio",
    "{python} -m benchmarks.peers.flask_socketio --port {port} --riva {riva}",
    "socketio",
    "the same, and a thread for every stream",
)
BARE = Gateway(
    "bare",
    "{python} -m benchmarks.peers.bare --port {port} --riva {riva}",
    "binary",
    "everything: this service's WebSocket class, loop and client of HTTP/2, and nothing between them",
    {"TICK_MS": "5"},
)


@dataclass(frozen=True)
class Usage:
    """Of all processes of a gateway together. cpu_s: user and system time. rss_bytes: memory of the serving process."""

    cpu_s: float
    rss_bytes: int


class Running:
    """A gateway that listens. key: what its clients sign in with; cookie: an operator's browser session."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, key: str = "", cookie: str = "") -> None:
        self._process = process
        self.port = port
        self.key = key
        self.cookie = cookie

    def usage(self) -> Usage:
        root = psutil.Process(self._process.pid)
        members = [root, *root.children(recursive=True)]
        times = [member.cpu_times() for member in members]
        return Usage(
            sum(time.user + time.system for time in times),
            max(member.memory_info().rss for member in members),
        )


@contextlib.contextmanager
def running(
    gateway: Gateway, *, riva: str, cpus: set[int], database_url: str = "", redis_url: str = ""
) -> Iterator[Running]:
    """Start a gateway with a database of its own, end it with everything it wrote."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="speechsite-bench-", ignore_cleanup_errors=True) as folder:
        environment = _environment(Path(folder), gateway, riva, database_url, redis_url)
        key = cookie = ""
        if gateway.protocol == "native":
            key, cookie = _set_up(environment)
        command = shlex.split(gateway.command.format(python=sys.executable, port=port, riva=riva))
        log = Path(folder) / "gateway.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                cwd=BASE_DIR,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, cpus),
            )
        try:
            _wait_until_listening(process, port, log)
            yield Running(process, port, key, cookie)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _environment(folder: Path, gateway: Gateway, riva: str, database_url: str, redis_url: str) -> dict[str, str]:
    """Nothing of the developer's own settings."""
    kept = {name: value for name, value in os.environ.items() if name.lower() not in Config.model_fields}
    return kept | {
        "ENV_FILE": "",
        "DATA_DIR": str(folder),
        "RIVA_SERVER": riva,
        "DATABASE_URL": database_url or "sqlite://",
        "REDIS_URL": redis_url,
        "LOG_FORMAT": "json",
        "MAX_CONCURRENT_SESSIONS": str(MAX_SESSIONS),
        "MAX_SESSIONS_PER_OWNER": "0",
        "MAX_WAITING_CONNECTIONS_PER_ADDRESS": str(MAX_SESSIONS),
        **gateway.settings,
    }


SET_UP = """
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.sessions.backends.db import SessionStore
from transcription.models import ApiKey
user, _ = get_user_model().objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
browser = SessionStore()
browser.update({
    "_auth_user_id": str(user.pk),
    "_auth_user_backend": "django.contrib.auth.backends.ModelBackend",
    "_auth_user_hash": user.get_session_auth_hash(),
})
browser.save()
print(ApiKey.create("bench", None)[1], f"{settings.SESSION_COOKIE_NAME}={browser.session_key}")
"""


def _set_up(environment: dict[str, str]) -> tuple[str, str]:
    """A migrated database. Returns a key, and the cookie of an operator."""
    for arguments in (["migrate", "--verbosity", "0"], ["shell", "--verbosity", "0", "-c", SET_UP]):
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=BASE_DIR,
            env=environment,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
    key, cookie = done.stdout.split()[-2:]
    return key, cookie


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_listening(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise RuntimeError(f"the gateway did not start:\n{log.read_text()}") from None
        time.sleep(POLL_S)
