"""Where the sockets are."""

from __future__ import annotations

from typing import Any, cast

from django.urls import path, re_path

from speechsite.config import get_config
from transcription.console.consumers import ConsoleConsumer
from transcription.consumers import TranscriptionConsumer
from transcription.dialects.listen import ListenDialect
from transcription.dialects.realtime import RealtimeDialect
from transcription.subscriptions.consumer import SubscriptionConsumer

API_V1 = get_config().api_v1_str.strip("/")


def _view(consumer: type[Any], **options: Any) -> Any:
    """Django's and Channels' stubs disagree about what a route leads to."""
    return cast(Any, consumer.as_asgi(**options))


websocket_urlpatterns: list[Any] = [
    # Any id is let in, so that a bad one gets an error that says so.
    re_path(rf"^{API_V1}/transcribe/(?P<session_id>[^/]*)$", _view(TranscriptionConsumer)),
    path("v1/listen", _view(TranscriptionConsumer, dialect_class=ListenDialect)),
    path("v1/realtime", _view(TranscriptionConsumer, dialect_class=RealtimeDialect)),
    re_path(rf"^{API_V1}/sessions/(?P<session_id>[^/]*)/events$", _view(SubscriptionConsumer)),
    path("ws/console/", _view(ConsoleConsumer)),
]
