"""What the framework leaves out of the OpenAPI document. Works on the plain document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from transcription.options import SESSION_ID_PATTERN

TAGS = {
    "service": "The service itself: is it there, what can it do, what was used of it.",
    "transcription": "Making sessions, whose audio is then streamed over the WebSocket.",
    "sessions": "Sessions and their transcripts.",
    "review": "Correcting the transcript of a session that has ended, and notes on it.",
    "webhooks": "Addresses that are told of what happens.",
    "file jobs": "Whole files, transcribed while nobody waits.",
    "tokens": "What opens one socket, for a browser that shall not have the key.",
}
SECURITY = {
    "BearerKey": "`Authorization: Bearer KEY`, with an API key.",
    "HeaderKey": "The same key, where the Authorization header is taken.",
    "Login": "The login of the pages. Requests that change something need Django's CSRF token besides.",
}
HEADERS = {
    "RequestId": ("X-Request-ID", "string", "Stands on every log line of this request."),
    "RetryAfter": ("Retry-After", "integer", "In so many seconds the same may work."),
    "Challenge": ("WWW-Authenticate", "string", "Which credentials are wanted."),
}
RETRY_STATUSES = frozenset({"409", "429", "503"})
EXAMPLES: dict[str, Any] = {
    "ErrorAnswer": {
        "code": 4422,
        "reason": "bad_config",
        "message": "sample_rate_hertz: Input should be less than or equal to 48000",
        "retryable": False,
        "field": "sample_rate_hertz",
        "request_id": "5f0c2a1e9d0b4c63a1f1a7a5a3b2c1d0",
    },
    "StartRequest": {"language": "en-US", "title": "Board meeting", "metadata": {"room": "4"}},
    "SessionChanges": {"title": "Board meeting, part two"},
    "StopRequest": {"reason": "The room is needed."},
}


def complete(document: dict[str, Any]) -> None:
    """Describe tags, credentials, headers and ids; say of query parameters what can be said in a query."""
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS.items()]
    components = document["components"]
    for name, scheme in components.get("securitySchemes", {}).items():
        scheme["description"] = SECURITY.get(name, "")
    for name, example in EXAMPLES.items():
        if name in components["schemas"]:
            components["schemas"][name]["examples"] = [example]
    components["headers"] = {
        name: {"description": text, "schema": {"type": kind}} for name, (_header, kind, text) in HEADERS.items()
    }
    for methods in document["paths"].values():
        # Answered like GET, without a body.
        methods.pop("head", None)
    for operation in operations(document):
        for parameter in operation.get("parameters", ()):
            _complete_parameter(parameter)
        for status, response in operation["responses"].items():
            _add_headers(str(status), response)


def operations(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every operation of a document."""
    for methods in document["paths"].values():
        yield from methods.values()


def _complete_parameter(parameter: dict[str, Any]) -> None:
    schema = parameter["schema"]
    if parameter["name"] == "session_id" and parameter["in"] == "path":
        parameter["description"] = "The session's id, as its client or the service chose it."
        schema["pattern"] = SESSION_ID_PATTERN
    if parameter["in"] != "path" and "anyOf" in schema:
        # None stands for a parameter that is not there: no text in a query means it.
        kinds = [kind for kind in schema.pop("anyOf") if kind != {"type": "null"}]
        schema.update(kinds[0] if len(kinds) == 1 else {"anyOf": kinds})
    if "description" in schema:
        parameter["description"] = schema.pop("description")


def _add_headers(status: str, response: dict[str, Any]) -> None:
    names = ["RequestId"]
    if status in RETRY_STATUSES:
        names.append("RetryAfter")
    if status == "401":
        names.append("Challenge")
    headers = response.setdefault("headers", {})
    for name in names:
        headers[HEADERS[name][0]] = {"$ref": f"#/components/headers/{name}"}
