"""One attempt to deliver: a POST over HTTP, bounded in every way. Knows no database.

Redirects are not followed, for they could lead anywhere; proxies and certificates named in the environment are not
used; nothing an endpoint answers is kept but a status and the beginning of the body.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import httpcore2
import httpx2

from transcription.options import clean_text
from transcription.webhooks.guarded_network import AddressRefused, GuardedNetwork, Resolve, SystemResolver
from transcription.webhooks.schedule import parse_retry_after
from transcription.webhooks.targets import TargetRules

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 10.0
WRITE_TIMEOUT_S = 10.0
# An endpoint that sends a byte now and then never meets the others.
TOTAL_TIMEOUT_S = 15.0
MAX_RESPONSE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Timeouts:
    """In seconds; total_s is for the whole attempt."""

    connect_s: float = CONNECT_TIMEOUT_S
    read_s: float = READ_TIMEOUT_S
    write_s: float = WRITE_TIMEOUT_S
    total_s: float = TOTAL_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of an attempt.

    status: of the response, None if there was none. excerpt: the beginning of its body. error: why it failed, a
    stable word, "" where it did not. retry_after_s: what the response asks for.
    """

    status: int | None = None
    excerpt: str = ""
    error: str = ""
    retry_after_s: float | None = None
    duration_ms: int = 0

    @property
    def is_delivered(self) -> bool:
        return not self.error


class Sender:
    """Sends one request a connection: what was judged at connecting is then true of the request, and no idle
    connections stay behind.

    resolve: looks names up; the system's way if None. user_agent: how we introduce ourselves.
    """

    def __init__(
        self,
        rules: TargetRules,
        *,
        user_agent: str,
        resolve: Resolve | None = None,
        timeouts: Timeouts | None = None,
        ssl_context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = rules
        self._user_agent = user_agent
        self._timeouts = timeouts or Timeouts()
        self._ssl_context = ssl_context or httpx2.create_ssl_context(trust_env=False)
        self._network = GuardedNetwork(rules.addresses, resolve or SystemResolver().resolve)
        self._clock = clock

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Send one event. What goes wrong on the way is told in the answer; nothing is raised for it."""
        started = self._clock()
        answer = await self._try(url, body, headers)
        return replace(answer, duration_ms=round((self._clock() - started) * 1000))

    async def _try(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self._rules.problem(url):
            # The rules may have changed since it was stored.
            return Answer(error="url_refused")
        try:
            async with asyncio.timeout(self._timeouts.total_s):
                return await self._exchange(url, body, headers)
        except AddressRefused:
            return Answer(error="address_refused")
        except (TimeoutError, httpx2.TimeoutException):
            return Answer(error="timeout")
        except httpx2.ConnectError as error:
            return Answer(error="tls" if _is_tls(error) else "connection_failed")
        except (httpx2.HTTPError, httpx2.InvalidURL):
            return Answer(error="connection_broken")

    async def _exchange(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        # Without a client: it would follow, carry cookies along and look for proxies.
        request = httpx2.Request(
            "POST",
            url,
            content=body,
            headers={
                "content-type": "application/json",
                "user-agent": self._user_agent,
                "accept-encoding": "identity",
                "connection": "close",
                **headers,
            },
            extensions={
                "timeout": {
                    "connect": self._timeouts.connect_s,
                    "read": self._timeouts.read_s,
                    "write": self._timeouts.write_s,
                    "pool": self._timeouts.total_s,
                }
            },
        )
        async with _GuardedTransport(self._network, self._ssl_context) as transport:
            response = await transport.handle_async_request(request)
            try:
                excerpt = await _beginning(response)
            finally:
                await response.aclose()
        return Answer(
            status=response.status_code,
            excerpt=clean_text(excerpt.decode("utf-8", "replace")),
            error=_error_of(response.status_code),
            retry_after_s=_retry_after(response),
        )


class _GuardedTransport(httpx2.AsyncHTTPTransport):
    """httpx2's own transport over a pool with our network: it has no option for one."""

    def __init__(self, network: httpcore2.AsyncNetworkBackend, ssl_context: ssl.SSLContext) -> None:
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=ssl_context, max_connections=1, max_keepalive_connections=0, network_backend=network
        )


async def _beginning(response: httpx2.Response) -> bytes:
    """At most MAX_RESPONSE_BYTES as they came; the rest is not waited for. Unpacking could fill the memory."""
    received = bytearray()
    async for piece in response.aiter_raw():
        received += piece
        if len(received) >= MAX_RESPONSE_BYTES:
            break
    return bytes(received[:MAX_RESPONSE_BYTES])


def _error_of(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return "redirect" if 300 <= status < 400 else "status"


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after")
    return parse_retry_after(value, now=datetime.now(UTC)) if value else None


def _is_tls(error: BaseException) -> bool:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return True
        cause = cause.__cause__ or cause.__context__
    return False
