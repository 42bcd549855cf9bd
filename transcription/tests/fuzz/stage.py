"""What is thrown at: a whole service with a scripted Riva, and a key that may do everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from speechsite.tests.served import manage
from transcription.identity.scopes import Scope
from transcription.tests.servers import Server, running_server

# Of this machine a request would need no key in the development profile; from behind a proxy it does.
PROXIED = {"X-Forwarded-For": "192.0.2.9"}
LIMITS = {"MAX_SESSIONS_PER_OWNER": "0", "MAX_WAITING_CONNECTIONS_PER_ADDRESS": "0", "START_TIMEOUT_SECONDS": "2"}
SIGNS_OF_BUGS = ("Traceback (most recent call last)", "An operation of the API failed", "Internal Server Error")


@dataclass(frozen=True, slots=True)
class Stage:
    """A running service and the text of a key."""

    server: Server
    key: str

    def bugs(self) -> list[str]:
        """Lines of the log that tell of a fault of the service."""
        return [line for line in self.server.served.output.splitlines() if any(sign in line for sign in SIGNS_OF_BUGS)]


@contextmanager
def running_stage(data_dir: Path) -> Iterator[Stage]:
    """data_dir: with a migrated SQLite database. At the end nothing may be left open and no bug in the log."""
    scopes = [argument for scope in Scope for argument in ("--scope", scope.value)]
    made = manage("create_api_key", "fuzz", "--quiet", *scopes, data_dir=data_dir, DATABASE_URL="sqlite://")
    assert made.returncode == 0, made.stderr
    with running_server(data_dir, **LIMITS) as server:
        stage = Stage(server, made.stdout.strip())
        yield stage
        assert stage.bugs() == []
        assert stage.key not in server.served.output, "a key stands in the log"
