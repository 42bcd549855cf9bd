"""/healthz, /readyz, /metrics and /drain: answered before Django, so that they neither pay for nor depend on it.

/healthz: the process and its event loop are alive. /readyz: 200 only when the recogniser and the database
answer and the process is not draining; one line for each check. /metrics: Prometheus; from this machine
itself or with an API key of the scope `metrics`. /drain: take no new sessions and hand the live ones over;
from this machine itself or with the key of a superuser.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from ipaddress import ip_address
from typing import Any

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from django.db import DatabaseError, connection
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest, multiprocess

from speechsite.drain import drain
from speechsite.health import Report, health, loop_lag
from transcription.identity.keys import why_unusable
from transcription.identity.scopes import Scope as KeyScope
from transcription.models import ApiKey
from transcription.process import get_process

JSON = b"application/json"
KEY_CHECK_TIMEOUT_S = 3.0

GET = ("GET", "HEAD")
POST = ("POST",)

Answer = tuple[int, bytes, bytes]


def _is_for_metrics(key: ApiKey) -> bool:
    return KeyScope.METRICS in key.scope_set


class Probes:
    """ASGI: answers the probes and hands every other request on. request_drain: begins the drain, at once."""

    def __init__(self, application: ASGI3Application, *, request_drain: Callable[[], None] = drain.request) -> None:
        self.application = application
        self._request_drain = request_drain
        self._key_threads = ThreadPoolExecutor(1, thread_name_prefix="probe-key")
        self._answers: dict[str, tuple[tuple[str, ...], Callable[[HTTPScope], Awaitable[Answer]]]] = {
            "/healthz": (GET, self._healthz),
            "/readyz": (GET, self._readyz),
            "/metrics": (GET, self._metrics),
            "/drain": (POST, self._drain),
        }

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        found = self._answers.get(scope["path"]) if scope["type"] == "http" else None
        if found is None or scope["type"] != "http":
            await self.application(scope, receive, send)
            return
        methods, answer = found
        if scope["method"] not in methods:
            body = json.dumps({"message": f"Only {' and '.join(methods)} are allowed here."}).encode()
            await _respond(send, 405, JSON, body, [(b"allow", ", ".join(methods).encode())])
        else:
            status, content_type, body = await answer(scope)
            await _respond(send, status, content_type, b"" if scope["method"] == "HEAD" else body)

    async def _healthz(self, scope: HTTPScope) -> Answer:
        loop_lag.start()
        status = 200 if loop_lag.is_healthy else 503
        facts = {"status": "ok" if status == 200 else "slow", "loop_lag_ms": round(loop_lag.current_s * 1000)}
        return status, JSON, json.dumps(facts).encode() + b"\n"

    async def _readyz(self, scope: HTTPScope) -> Answer:
        # Under a server without lifespan the first probe may be what starts the process.
        await get_process().start()
        drain.attach()
        report = await health.report()
        return 200 if report.is_ready else 503, JSON, render(report)

    async def _metrics(self, scope: HTTPScope) -> Answer:
        if not _is_direct_from_loopback(scope) and not await self._has_key(scope):
            return 401, JSON, b'{"message": "Metrics are for this machine itself, or a key of the scope metrics."}\n'
        # Several workers' values lie in files; reading them is no work for the loop.
        return 200, CONTENT_TYPE_LATEST.encode(), await asyncio.to_thread(collect_metrics)

    async def _drain(self, scope: HTTPScope) -> Answer:
        # A page of any site can make a browser on this machine post here; browsers then say for whom.
        is_browser = any(name == b"origin" for name, _ in scope["headers"])
        if is_browser or not (_is_direct_from_loopback(scope) or await self._has_key(scope, _is_a_superusers)):
            return 403, JSON, b'{"message": "Only this machine itself, or the key of a superuser, may drain."}\n'
        live = await asyncio.to_thread(count_live_sessions)
        self._request_drain()
        return 202, JSON, json.dumps({"status": "draining", "live_sessions": live}).encode() + b"\n"

    async def _has_key(self, scope: HTTPScope, is_enough: Callable[[ApiKey], bool] = _is_for_metrics) -> bool:
        text = _credential(scope)
        if not text:
            return False
        loop = asyncio.get_running_loop()
        try:
            found = loop.run_in_executor(self._key_threads, _key_is_enough, text, is_enough)
            return await asyncio.wait_for(found, KEY_CHECK_TIMEOUT_S)
        except (TimeoutError, DatabaseError):
            return False


def render(report: Report) -> bytes:
    """JSON with each check on a line of its own."""
    status = "ready" if report.is_ready else "not ready"
    lines = ",\n".join("  " + json.dumps(asdict(check)) for check in report.checks)
    return f'{{"status": "{status}", "checks": [\n{lines}\n]}}\n'.encode()


def collect_metrics() -> bytes:
    return generate_latest(metrics_registry())


def count_live_sessions() -> int:
    """Sessions that are live in this process, or in all workers of this host where `serve` started several."""
    return round(metrics_registry().get_sample_value("speech_sessions_live") or 0)


def metrics_registry() -> CollectorRegistry:
    """The metrics of this process, or of all workers of this host where `serve` started several."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)
    return registry


def _is_direct_from_loopback(scope: HTTPScope) -> bool:
    """A proxy on this machine that is not trusted looks like loopback too, but says for whom it asks."""
    client = scope.get("client")
    if client is None or any(name == b"x-forwarded-for" for name, _ in scope["headers"]):
        return False
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _credential(scope: HTTPScope) -> str:
    headers = dict(scope["headers"])
    scheme, _, bearer = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    return bearer.strip() if scheme.lower() == "bearer" else headers.get(b"x-api-key", b"").decode("latin-1")


def _key_is_enough(text: str, is_enough: Callable[[ApiKey], bool]) -> bool:
    try:
        key: Any = ApiKey.find(text)  # with the database's time
        return key is not None and why_unusable(key, key.now) is None and is_enough(key)
    finally:
        connection.close()


def _is_a_superusers(key: ApiKey) -> bool:
    return key.owner is not None and key.owner.is_active and key.owner.is_superuser


async def _respond(
    send: ASGISendCallable,
    status: int,
    content_type: bytes,
    body: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
) -> None:
    start: Any = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", content_type),
            (b"content-length", str(len(body)).encode()),
            (b"cache-control", b"no-store"),
            *(headers or []),
        ],
    }
    await send(start)
    await send({"type": "http.response.body", "body": body, "more_body": False})
