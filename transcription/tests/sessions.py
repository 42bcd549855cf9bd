"""What tests of the store have in common: sessions to start, steps to commit, threads with scripted faults."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import quote

from django.conf import settings

from transcription.identity.principals import LOCAL, Principal
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.options import TranscriptionConfig
from transcription.storage.database_threads import DatabaseThreads
from transcription.storage.steps import NewSegment, NewSession, SessionHandle, Step

T = TypeVar("T")
Fault = Exception | None


def new_session(public_id: str, principal: Principal = LOCAL, **config: Any) -> NewSession:
    return NewSession(
        public_id=public_id,
        principal=principal,
        client_address="127.0.0.1",
        user_agent="tests",
        dialect="native",
        asked=config,
        applied=TranscriptionConfig(**config).as_applied(),
    )


def segment(index: int, text: str = "hello world", **values: Any) -> NewSegment:
    defaults: dict[str, Any] = {"start_ms": index * 1000, "end_ms": index * 1000 + 900}
    return NewSegment(index=index, text=text, **(defaults | values))


def step(handle: SessionHandle, *segments: NewSegment, seq: int = 0, committed_bytes: int = 0) -> Step:
    """A step of this handle's epoch from segment seq on; with no segments only the watermark moves."""
    return Step(handle.pk, handle.epoch, segments[0].index if segments else seq, segments, committed_bytes)


def rows_of(handle: SessionHandle) -> list[tuple[int, int, str]]:
    """Index, epoch and text of the stored segments, for a database thread."""
    return list(
        TranscriptSegment.objects.filter(session_id=handle.pk).order_by("index").values_list("index", "epoch", "text")
    )


def row_of(public_id: str) -> TranscriptionSession:
    return TranscriptionSession.objects.get(public_id=public_id)


def change_row(public_id: str, **values: Any) -> int:
    return TranscriptionSession.objects.filter(public_id=public_id).update(**values)


def database_url() -> str:
    """DATABASE_URL of the test database, for other processes."""
    database = settings.DATABASES["default"]
    if database["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{quote(str(database['NAME']))}"
    login = quote(database["USER"], safe="")
    if database["PASSWORD"]:
        login += ":" + quote(database["PASSWORD"], safe="")
    return f"postgresql://{login}@{database['HOST']}:{database['PORT']}/{quote(database['NAME'])}"


class ScriptedThreads(DatabaseThreads):
    """Database threads whose jobs fail as scripted, in order.

    before: raised instead of running the job. after: raised after the job ran, as when its reply is lost.
    failed: called at each fault, to move a test's clock. ran: the names of the functions that were asked for.
    """

    def __init__(
        self,
        *,
        before: Iterable[Fault] = (),
        after: Iterable[Fault] = (),
        failed: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(size=4, name="scripted")
        self.before = deque(before)
        self.after = deque(after)
        self.ran: list[str] = []
        self._failed = failed

    async def run(self, function: Callable[..., T], *args: Any, timeout_s: float | None = None, **kwargs: Any) -> T:
        self.ran.append(getattr(function, "__name__", ""))
        self._fail(self.before)
        result = await super().run(function, *args, timeout_s=timeout_s, **kwargs)
        self._fail(self.after)
        return result

    def _fail(self, faults: deque[Fault]) -> None:
        fault = faults.popleft() if faults else None
        if fault is not None:
            self._failed()
            raise fault


class Clock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds
