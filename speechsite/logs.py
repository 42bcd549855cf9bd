"""Structured logs: one line for each event, the same shape for our own records and for libraries'.

JSON in production, aligned colours in development. What stands in `structlog.contextvars` (request_id,
session_id, client) is on every line of its connection. Neither transcript text nor secrets are logged:
callers pass facts, never payloads, and query strings are left out everywhere.
"""

from __future__ import annotations

import re
import sys
import time
import uuid
from collections.abc import Awaitable, MutableMapping
from typing import Any

import structlog
from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGISendCallable,
    HTTPScope,
    Scope,
    WebSocketScope,
)
from structlog.contextvars import bind_contextvars, clear_contextvars
from structlog.typing import EventDict, Processor

from speechsite.config import Config

REQUEST_ID_HEADER = b"x-request-id"
MAX_REQUEST_ID_CHARACTERS = 64
MAX_LOGGED_PATH_CHARACTERS = 200
SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,%d}" % MAX_REQUEST_ID_CHARACTERS)
# Probes come every few seconds: their lines would bury the others.
QUIET_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
NO_STATUS = 0
ABNORMAL_CLOSE = 1006
REFUSED = 403

log = structlog.stdlib.get_logger("speechsite.requests")


def use_json(config: Config) -> bool:
    return config.log_format == "json" or (config.log_format == "auto" and config.is_production)


def logging_config(config: Config) -> dict[str, Any]:
    """Django's LOGGING. Also configures structlog, so that both ways of logging end in one handler."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "structured": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*shared, structlog.stdlib.ExtraAdder(allow=())],
                "processors": _rendering(config),
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
        "root": {"handlers": ["stderr"], "level": config.log_level},
        "loggers": {
            # Django's own handlers would print the same again, and mail it.
            "django": {"handlers": [], "level": "INFO", "propagate": True},
            "django.server": {"handlers": [], "level": "WARNING", "propagate": True},
            # A line for each 4xx, with its path; our own line has it already.
            "django.request": {"level": "ERROR"},
            # A traceback for each request of a scanner that names another host.
            "django.security.DisallowedHost": {"level": "CRITICAL"},
            "uvicorn": {"handlers": [], "level": "WARNING", "propagate": True},
            "daphne": {"level": "WARNING"},
            # Says "Using selector" for every loop.
            "asyncio": {"level": "WARNING"},
        },
    }


def _rendering(config: Config) -> list[Processor]:
    renderer: list[Processor]
    if use_json(config):
        renderer = [
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    else:
        # Tracebacks without the values of local variables: they may be audio, text or keys.
        plain = structlog.dev.plain_traceback
        renderer = [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)]
    return [_drop_record_fields, _without_query_strings, *renderer]


def _drop_record_fields(logger: Any, name: str, event_dict: EventDict) -> EventDict:
    event_dict.pop("_record", None)
    event_dict.pop("_from_structlog", None)
    return event_dict


_QUERY_STRING = re.compile(r"(\s|^|\"|')((?:https?://|wss?://|/)[^\s\"'?]*)\?[^\s\"']*")


def _without_query_strings(logger: Any, name: str, event_dict: EventDict) -> EventDict:
    """Libraries print whole request lines; what stands after the question mark may be a secret."""
    event = event_dict.get("event")
    if isinstance(event, str) and "?" in event:
        event_dict["event"] = _QUERY_STRING.sub(r"\1\2?…", event)
    return event_dict


def request_id_of(headers: Any) -> str:
    """The caller's X-Request-ID if it is short and plain, otherwise a new one."""
    for name, value in headers:
        if name == REQUEST_ID_HEADER:
            return value.decode("ascii") if SAFE_REQUEST_ID.fullmatch(value) else uuid.uuid4().hex
    return uuid.uuid4().hex


class LoggedApplication:
    """ASGI: gives each request and connection an id, puts it on every log line, and logs one line at its end.

    The id is in `scope["request_id"]` and goes back as X-Request-ID. A WebSocket's line carries its close
    code, whoever closed; code 1006 stands for "no close code was ever heard". One that was refused in the
    handshake is logged with its HTTP status instead.
    """

    def __init__(self, application: ASGI3Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.application(scope, receive, send)
            return
        # One connection is one task of the server, so what is bound here ends with it; HTTP keep-alive
        # gives several requests to one task, hence the clearing.
        clear_contextvars()
        request_id = request_id_of(scope["headers"])
        client = scope.get("client")
        bind_contextvars(request_id=request_id, client=client[0] if client else None)
        exchange = _Exchange(scope, request_id, receive, send)
        try:
            await self.application(exchange.scope, exchange.receive, exchange.send)
        finally:
            exchange.log_end()


class _Exchange:
    """One request or connection: what its line at the end needs to know."""

    def __init__(
        self,
        scope: HTTPScope | WebSocketScope,
        request_id: str,
        receive: ASGIReceiveCallable,
        send: ASGISendCallable,
    ) -> None:
        self.is_http = scope["type"] == "http"
        self.path = scope["path"][:MAX_LOGGED_PATH_CHARACTERS]
        self.method = scope["method"] if scope["type"] == "http" else None
        self.scope: Any = {**scope, "request_id": request_id}
        self.request_id = request_id.encode()
        self.status = NO_STATUS if self.is_http else ABNORMAL_CLOSE
        self.closed = False
        self.accepted = False
        self.started_at = time.monotonic()
        self._receive = receive
        self._send = send

    async def receive(self) -> Any:
        message = await self._receive()
        if message["type"] == "websocket.disconnect" and not self.closed:
            # uvicorn tells its own closes as members of an enumeration.
            self._close(int(message.get("code") or ABNORMAL_CLOSE))
        return message

    def send(self, message: Any) -> Awaitable[None]:
        kind = message["type"]
        # First, and without a coroutine of its own: results go this way.
        if kind == "websocket.send":
            return self._send(message)
        if kind in ("http.response.start", "websocket.accept", "websocket.http.response.start"):
            message = self._with_request_id(message)
        if kind in ("http.response.start", "websocket.http.response.start"):
            self._close(message["status"])
        elif kind == "websocket.accept":
            self.accepted = True
        elif kind == "websocket.close" and not self.closed:
            self._close((message.get("code") or 1000) if self.accepted else REFUSED)
        return self._send(message)

    def _close(self, status: int) -> None:
        self.status, self.closed = status, True

    def _with_request_id(self, message: Any) -> Any:
        headers = [(name, value) for name, value in message.get("headers", ()) if name.lower() != REQUEST_ID_HEADER]
        return {**message, "headers": [*headers, (REQUEST_ID_HEADER, self.request_id)]}

    def log_end(self) -> None:
        facts: MutableMapping[str, Any] = {
            "path": self.path,
            "duration_ms": round((time.monotonic() - self.started_at) * 1000),
        }
        if self.is_http:
            write = log.debug if self.path in QUIET_PATHS else log.info
            write("request", method=self.method, status=self.status, **facts)
        elif self.accepted or not self.closed:
            log.info("connection closed", code=self.status, **facts)
        else:
            log.info("connection refused", status=self.status, **facts)
