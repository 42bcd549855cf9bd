"""A socket that tells and hears almost nothing: what the console's and the subscribers' sockets have in common."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

import structlog
from channels.generic.websocket import AsyncWebsocketConsumer
from django.utils.translation import gettext as _

from transcription import metrics
from transcription.console.live_database import DATABASE_ERRORS
from transcription.dialects.native_messages import PROTOCOL
from transcription.errors import AtCapacity, InternalError, TimedOutClient, TranscriptionError
from transcription.identity.auth import WrongOrigin, authenticate_socket
from transcription.identity.principals import Principal
from transcription.limits.connection_limits import ConnectionLimits
from transcription.process import Process, draining, get_process
from transcription.subscriptions.messages import SubscriptionError

log = structlog.get_logger(__name__)

ANSWER_TIMEOUT_S = 5.0
# A client that takes nothing for so long is closed, as those who speak are.
STUCK_S = 30.0
# A permission that is withdrawn ends its sockets within 60 s, as credentials do (credential_watch.py).
RECHECK_EVERY_S = 30.0
NORMAL_CLOSE = 1000

T = TypeVar("T")


class ViewerSocket(AsyncWebsocketConsumer, ABC):
    """Authenticates, asks whether this may be seen, and again every RECHECK_EVERY_S; then `tell` has the connection.

    The process listens to the channel layer for all its viewers: a broken layer cannot end this socket.
    """

    channel_layer_alias: ClassVar[str] = "none"

    def __init__(
        self,
        *,
        process_of: Callable[[], Process] = get_process,
        recheck_every_s: float = RECHECK_EVERY_S,
        stuck_s: float = STUCK_S,
    ) -> None:
        super().__init__()
        self._process = process_of()
        self._recheck_every_s = recheck_every_s
        self._stuck_s = stuck_s
        self._principal: Principal | None = None
        self._work: asyncio.Task[None] | None = None
        self._limits = ConnectionLimits()
        self._failure: TranscriptionError | None = None
        self._failed = asyncio.Event()

    @abstractmethod
    def check(self, principal: Principal) -> None:
        """In a database thread. Raises a TranscriptionError for who may not see this, or asks for nonsense."""

    @abstractmethod
    async def tell(self) -> None:
        """Say everything; returning closes with 1000, raising a TranscriptionError with its code."""

    async def connect(self) -> None:
        error: TranscriptionError | None = None
        try:
            self._principal = await authenticate_socket(self.scope)
            await self.ask(self.check, self._principal)
        except WrongOrigin:
            await self.close()
            return
        except TranscriptionError as caught:
            error = caught
        await self.accept(PROTOCOL if PROTOCOL in self.scope.get("subprotocols", ()) else None)
        if error is not None:
            await self._refuse(error)
            return
        self._work = asyncio.create_task(self._serve())

    async def ask(self, function: Callable[..., T], *args: Any) -> T:
        """Run a function in a database thread. Raises AtCapacity where the database does not answer."""
        try:
            return await self._process.threads.run(function, *args, timeout_s=ANSWER_TIMEOUT_S)
        except DATABASE_ERRORS:
            raise AtCapacity(
                _("The database does not answer; please try again."), reason="storage_unavailable"
            ) from None

    async def say(self, text: str) -> None:
        """Send a message. Raises TimedOutClient where the client does not take it."""
        try:
            async with asyncio.timeout(self._stuck_s):
                await self.send(text)
        except TimeoutError:
            raise TimedOutClient(_("The connection is read too slowly."), reason="slow_reader") from None

    def fail(self, error: TranscriptionError) -> None:
        """End the connection with this error; the first one counts."""
        self._failure = self._failure or error
        self._failed.set()

    def count_message(self) -> None:
        """Raises TooFast for a client that sends too much."""
        self._limits.count_control(time.monotonic())

    async def disconnect(self, code: int) -> None:
        if self._work is not None:
            self._work.cancel()
            await asyncio.gather(self._work, return_exceptions=True)

    async def _serve(self) -> None:
        """Tell and check side by side; whichever ends first ends the connection."""
        assert self._principal is not None  # noqa: S101 - nothing was refused
        credentials = self._process.credentials.watch(self._principal, self.fail)
        works = [asyncio.create_task(work) for work in (self.tell(), self._recheck(), self._fail(), self._leave())]
        try:
            with self._process.viewers.entered():
                done, _pending = await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
                for work in done:
                    await work
        except TranscriptionError as error:
            await self._refuse(error)
        except (OSError, RuntimeError):
            # The server's ways of saying that the client has just gone.
            pass
        except Exception:
            log.exception("connection_failed")
            await self._refuse(InternalError(_("Something went wrong on our side.")))
        else:
            await self._close(NORMAL_CLOSE)
        finally:
            credentials.leave()
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _fail(self) -> None:
        await self._failed.wait()
        if self._failure is not None:
            raise self._failure

    async def _leave(self) -> None:
        await self._process.viewers.leaving.wait()
        raise draining()

    async def _recheck(self) -> None:
        """Ask again whether this may be seen. A database that is away decides nothing."""
        while True:
            await asyncio.sleep(self._recheck_every_s)
            with contextlib.suppress(AtCapacity):
                await self.ask(self.check, self._principal)

    async def _refuse(self, error: TranscriptionError) -> None:
        message = SubscriptionError(
            code=error.code,
            reason=error.reason,
            message=error.message,
            retryable=error.retryable,
            retry_after_ms=error.retry_after_ms,
            field=error.field,
            request_id=str(self.scope.get("request_id", "")),
        )
        with contextlib.suppress(OSError, RuntimeError, TimedOutClient):
            if not isinstance(error, TimedOutClient):
                await self.say(message.model_dump_json())
        await self._close(error.code)

    async def _close(self, code: int) -> None:
        metrics.WS_CLOSED_TOTAL.labels(code=str(code)).inc()
        with contextlib.suppress(OSError, RuntimeError):
            await self.close(code)
