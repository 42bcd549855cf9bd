"""The AsyncAPI 3.0 document: every socket, its messages, how one is let in and how it closes. Made from the models.

Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from pydantic import BaseModel

from transcription.asyncapi.examples import build_examples
from transcription.asyncapi.schemas import Schemas, plain, without_links
from transcription.dialects import listen_errors, realtime_errors
from transcription.dialects import listen_messages as listen
from transcription.options import SESSION_ID_PATTERN
from transcription.reference.close_codes import NATIVE_CLOSES, SUBSCRIPTION_CLOSES, CloseCode
from transcription.reference.tables import NATIVE_CLIENT, NATIVE_SERVER, SUBSCRIPTION, tag_of
from transcription.subscriptions.options import SubscriptionOptions

ASYNCAPI = "3.0.0"
WS_BINDING_VERSION = "0.1.0"
JSON_TYPE, BYTES_TYPE = "application/json", "application/octet-stream"
DESCRIPTION = (
    "The WebSockets of the service: streaming audio in, transcripts out; and following a session that another program "
    "streams. The HTTP API has a document of its own, `openapi.json` beside this one. JSON is sent in text messages, "
    "audio in binary ones."
)
LISTEN_CLIENT = get_args(get_args(listen.ClientMessage)[0])
LISTEN_SERVER = (
    listen.Results,
    listen.UtteranceEnd,
    listen.SpeechStarted,
    listen.Metadata,
    listen.ErrorMessage,
    listen.ConfigureFailure,
)
SECURITY: dict[str, dict[str, str]] = {
    "bearerKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, or a token of `POST /api/v1/tokens`; a start token of `POST "
        "/api/v1/start-transcription` on the transcription socket alone.",
    },
    "tokenSubprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`speech.v1, speech.token.TOKEN`: the same for browsers, which cannot set other headers.",
    },
    "login": {
        "type": "httpApiKey",
        "in": "cookie",
        "name": "sessionid",
        "description": "The login of the pages, with an allowed Origin.",
    },
    "deepgramKey": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Authorization",
        "description": "`Token KEY`, as Deepgram's clients send it.",
    },
    "deepgramSubprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`token, KEY`.",
    },
    "realtimeSubprotocol": {
        "type": "httpApiKey",
        "in": "header",
        "name": "Sec-WebSocket-Protocol",
        "description": "`realtime, openai-insecure-api-key.KEY` or `realtime, realtime-token.SECRET`.",
    },
}


@dataclass(frozen=True, slots=True)
class Socket:
    """One address. sent_as: whether fields with a default come always (serialization) or may be left out.

    audio: what its binary messages are; empty where there are none.
    """

    name: str
    address: str
    title: str
    description: str
    security: tuple[str, ...]
    closes: list[dict[str, Any]]
    document: str
    from_client: Sequence[type[BaseModel]] = ()
    from_server: Sequence[type[BaseModel]] = ()
    sent_as: Literal["validation", "serialization"] = "serialization"
    audio: str = ""
    query: dict[str, Any] = field(default_factory=dict)


def build_document(
    *, title: str, version: str, host: str, scheme: Literal["ws", "wss"] = "wss", api: str = "/api/v1"
) -> dict[str, Any]:
    """The document as JSON values. host: with a port; the one at which the service is asked for it, or an example."""
    schemas: dict[str, Any] = {}
    sockets = _sockets(api)
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    messages: dict[str, Any] = {}
    for socket in sockets:
        own = _messages(socket, schemas)
        messages |= {f"{socket.name}.{name}": message for name, message in own.items()}
        channels[socket.name] = _channel(socket, own, docs=f"{_http(scheme)}://{host}/api/docs/{socket.document}/")
        operations |= _operations(socket, own)
    return {
        "asyncapi": ASYNCAPI,
        "info": {"title": title, "version": version, "description": DESCRIPTION},
        "defaultContentType": JSON_TYPE,
        "servers": {"service": {"host": host, "protocol": scheme, "protocolVersion": "13"}},
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas, "securitySchemes": SECURITY},
    }


def _sockets(api: str) -> list[Socket]:
    native = ("bearerKey", "tokenSubprotocol", "login")
    return [
        Socket(
            name="transcribe",
            address=f"{api}/transcribe/{{session_id}}",
            title="Transcription",
            description="One connection is one transcription session: audio in, interim and final results out.",
            security=native,
            closes=[*map(_close, NATIVE_CLOSES)],
            document="websocket-api",
            from_client=NATIVE_CLIENT,
            from_server=NATIVE_SERVER,
            audio="The bytes of the declared encoding, cut anywhere, up to `max_audio_bytes` a message.",
        ),
        Socket(
            name="events",
            address=f"{api}/sessions/{{session_id}}/events",
            title="Subscription",
            description="A session as another program streams it: a snapshot, then numbered messages. The client says "
            'nothing but, if it wants, `{"type": "keepalive"}`.',
            security=native,
            closes=[*map(_close, SUBSCRIPTION_CLOSES)],
            document="events-api",
            from_client=[model for model in NATIVE_CLIENT if tag_of(model) == "keepalive"],
            from_server=SUBSCRIPTION,
            query=plain(SubscriptionOptions.model_json_schema()),
        ),
        Socket(
            name="listen",
            address="/v1/listen",
            title="Deepgram's protocol",
            description="Live transcription for Deepgram's clients. Options are in the query.",
            security=("deepgramKey", "deepgramSubprotocol", "bearerKey", "login"),
            closes=_plain_closes([(1000, ""), (listen_errors.POLICY, ""), *listen_errors.CLOSES.values()]),
            document="listen-api",
            from_client=LISTEN_CLIENT,
            from_server=LISTEN_SERVER,
            sent_as="validation",
            audio="Audio as declared in the query, or with a header of its own; an empty message ends the stream.",
        ),
        Socket(
            name="realtime",
            address="/v1/realtime",
            title="OpenAI's and NVIDIA's protocol",
            description="Live transcription for OpenAI's and NVIDIA's realtime clients, `?intent=transcription`. "
            "Events are those of their own references; which of them are there is in the documentation.",
            security=("bearerKey", "realtimeSubprotocol", "login"),
            closes=_plain_closes((code, "") for code in {1000, *realtime_errors.CLOSE_CODES.values()}),
            document="realtime-api",
        ),
    ]


def _close(close: CloseCode) -> dict[str, Any]:
    return {
        "code": close.code,
        "reasons": list(close.reasons),
        "description": without_links(close.when),
        "retryable": close.error.default_retryable if close.error else False,
    }


def _plain_closes(closes: Iterable[tuple[int, str]]) -> list[dict[str, Any]]:
    reasons: dict[int, list[str]] = {}
    for code, reason in sorted(set(closes)):
        reasons.setdefault(code, []).extend([reason] if reason else [])
    return [{"code": code, "reasons": found} for code, found in reasons.items()]


def _messages(socket: Socket, schemas: dict[str, Any]) -> dict[str, dict[str, Any]]:
    gathered = Schemas(socket.name.capitalize(), schemas)
    found = {}
    for model in socket.from_client:
        found[_name(model, "client")] = _message(model, gathered.add(model, mode="validation"))
    for model in socket.from_server:
        found[_name(model, "server")] = _message(model, gathered.add(model, mode=socket.sent_as))
    if socket.audio:
        found["client.binary_audio"] = {
            "name": "binary_audio",
            "title": "Audio in a binary message",
            "description": socket.audio,
            "contentType": BYTES_TYPE,
            "payload": {"type": "string", "format": "binary"},
        }
    if not found:
        event = {"type": "object", "required": ["type"], "properties": {"type": {"type": "string"}}}
        found = {
            f"{side}.event": {"name": "event", "title": "An event", "contentType": JSON_TYPE, "payload": event}
            for side in ("client", "server")
        }
    return found


def _name(model: type[BaseModel], side: str) -> str:
    return f"{side}.{tag_of(model)}"


def _message(model: type[BaseModel], reference: str) -> dict[str, Any]:
    example = build_examples()[model]
    leaves_out_null = model.__module__ == listen.__name__
    summary = " ".join((model.__doc__ or "").split()).strip()
    return {
        "name": tag_of(model),
        "title": model.__name__,
        **({"summary": without_links(summary)} if summary else {}),
        "contentType": JSON_TYPE,
        "payload": {"$ref": reference},
        "examples": [{"payload": example.model_dump(mode="json", exclude_none=leaves_out_null)}],
    }


def _channel(socket: Socket, messages: Iterable[str], *, docs: str) -> dict[str, Any]:
    session_id = {"session_id": {"description": f"The session's id: {SESSION_ID_PATTERN}"}}
    binding: dict[str, Any] = {"method": "GET", "bindingVersion": WS_BINDING_VERSION}
    return {
        "address": socket.address,
        "title": socket.title,
        "description": socket.description,
        "messages": {name: {"$ref": f"#/components/messages/{socket.name}.{name}"} for name in messages},
        **({"parameters": session_id} if "{session_id}" in socket.address else {}),
        "bindings": {"ws": binding | ({"query": socket.query} if socket.query else {})},
        "externalDocs": {"url": docs, "description": "All of it in words."},
        "x-close-codes": socket.closes,
    }


def _operations(socket: Socket, messages: Iterable[str]) -> dict[str, Any]:
    """As the service sees it: it receives what clients send."""
    sides = {"receive": "client.", "send": "server."}
    return {
        f"{action}.{socket.name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{socket.name}"},
            "title": f"{socket.title}: what {'clients send' if action == 'receive' else 'the service sends'}",
            "messages": [
                {"$ref": f"#/channels/{socket.name}/messages/{name}"} for name in messages if name.startswith(side)
            ],
            "security": [{"$ref": f"#/components/securitySchemes/{name}"} for name in socket.security],
        }
        for action, side in sides.items()
    }


def _http(scheme: str) -> str:
    return scheme.replace("ws", "http")
