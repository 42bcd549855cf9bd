"""The ASGI application: what uvicorn (`manage.py serve`) and daphne (`manage.py runserver`) run."""

from __future__ import annotations

import os
from typing import Any, cast

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "speechsite.settings")
# First: it sets Django up, which everything imported below needs.
django_application: Any = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.urls import re_path  # noqa: E402

from speechsite.body_limit import BodyLimit  # noqa: E402
from speechsite.drain import drain  # noqa: E402
from speechsite.headers import EdgeHeaders  # noqa: E402
from speechsite.health import loop_lag  # noqa: E402
from speechsite.logs import LoggedApplication  # noqa: E402
from speechsite.probes import Probes  # noqa: E402
from transcription.files.asgi import FileEndpoints  # noqa: E402
from transcription.files.endpoints import file_endpoints  # noqa: E402
from transcription.jobs.in_process import jobs  # noqa: E402
from transcription.process import get_process  # noqa: E402
from transcription.routing import websocket_urlpatterns  # noqa: E402


async def lifespan(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Start and close what one server process shares. An error while starting ends the server."""
    await receive()
    loop_lag.start()
    await get_process().start()
    drain.attach()
    jobs.start(get_process())
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await jobs.aclose()
    await get_process().aclose()
    await loop_lag.aclose()
    await send({"type": "lifespan.shutdown.complete"})


class StartedWebSockets:
    """ASGI: daphne has no lifespan, so the first connection starts what lifespan starts under uvicorn."""

    def __init__(self, application: ASGI3Application) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        loop_lag.start()
        await get_process().start()
        drain.attach()
        jobs.start(get_process())
        await self.application(scope, receive, send)


async def refuse_unknown(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """A WebSocket at an address where there is none: 403 in the handshake instead of a traceback."""
    await receive()
    await send({"type": "websocket.close", "code": 4404, "reason": ""})


drain.listen()

# django-stubs and types-channels know different kinds of URL patterns.
routes: list[Any] = [*websocket_urlpatterns, re_path(r"", cast(Any, refuse_unknown))]
# No session middleware: it would look at each message that is sent, and sockets read the cookie themselves.
websocket_application: Any = URLRouter(routes)

application: Any = LoggedApplication(
    ProtocolTypeRouter(
        {
            "lifespan": lifespan,
            "http": Probes(EdgeHeaders(FileEndpoints(BodyLimit(django_application), file_endpoints))),
            "websocket": EdgeHeaders(StartedWebSockets(websocket_application)),
        }
    )
)
