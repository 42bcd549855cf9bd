"""The Idempotency-Key of the HTTP API's operations."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Collection
from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from ninja import Schema, Status
from ninja.operation import Operation
from ninja.responses import NinjaJSONEncoder
from ninja.utils import contribute_operation_callback

from transcription.rest.idempotency import (
    HEADER,
    KEY_PATTERN,
    Answer,
    AnsweredAlready,
    check_key,
    claim,
    give_up,
    keep,
)
from transcription.rest.schemas import ErrorAnswer

REPLAYED_HEADER = "Idempotency-Replayed"
CONTENT_TYPE = "application/json; charset=utf-8"

View = Callable[..., Any]
Renew = Callable[[HttpRequest, dict[str, Any]], Schema]


def idempotent(
    *, secrets: Collection[str] = (), renew: Renew | None = None, in_transaction: bool = True
) -> Callable[[View], View]:
    """Let an operation that makes something take an Idempotency-Key. Stands below the router's decorator.

    The same request with the same key is answered with what was answered before, for a day. The operation is
    synchronous and returns a Schema, or a Status with one.

    secrets: fields of the answer that are not kept, since none is told twice. Asked again, renew(request, the other
    fields) makes the answer anew; without it the request is refused. in_transaction: whether work and answer are
    committed together; False for work that does more than write to the database.
    """

    def decorate(view: View) -> View:
        @functools.wraps(view)
        def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            key = request.headers.get(HEADER)
            if key is None:
                return view(request, *args, **kwargs)
            check_key(key)
            claimed = claim(request.auth, key, _fingerprint(request, kwargs))  # type: ignore[attr-defined]
            if isinstance(claimed, Answer):
                return _replay(request, claimed, renew, has_secrets=bool(secrets))
            try:
                with transaction.atomic() if in_transaction else contextlib.nullcontext():
                    result = view(request, *args, **kwargs)
                    keep(claimed, _answer_of(result, secrets))
            except BaseException:
                # Whatever it was, nothing is kept of it: whoever asks again tries again.
                give_up(claimed)
                raise
            return result

        # Names in annotations are those of the operation's module.
        wrapped.__signature__ = inspect.signature(view, eval_str=True)  # type: ignore[attr-defined]
        contribute_operation_callback(wrapped, _describe)
        return wrapped

    return decorate


def _answer_of(result: Any, secrets: Collection[str]) -> Answer:
    status, schema = (result.status_code, result.value) if isinstance(result, Status) else (200, result)
    return Answer(status, _dump(schema.model_dump(exclude=set(secrets))))


def _replay(request: HttpRequest, answer: Answer, renew: Renew | None, *, has_secrets: bool) -> HttpResponse:
    text = answer.text
    if renew is not None:
        text = _dump(renew(request, json.loads(text)).model_dump())
    elif has_secrets:
        raise AnsweredAlready(_("This request was answered already, and its answer holds a secret that is told once."))
    return HttpResponse(text, status=answer.status, content_type=CONTENT_TYPE, headers={REPLAYED_HEADER: "true"})


def _dump(values: dict[str, Any]) -> str:
    return json.dumps(values, cls=NinjaJSONEncoder)


def _fingerprint(request: HttpRequest, arguments: dict[str, Any]) -> str:
    """Of what was understood, so that white space in JSON and boundaries of multipart do not count."""
    digest = hashlib.sha256(f"{request.method} {request.path}".encode())
    for name in sorted(arguments):
        value = arguments[name]
        digest.update(f"\0{name}\0".encode())
        if isinstance(value, UploadedFile):
            for chunk in value.chunks():
                digest.update(chunk)
            value.seek(0)
        elif isinstance(value, Schema):
            digest.update(value.model_dump_json(exclude_unset=True).encode())
        else:
            digest.update(repr(value).encode())
    return digest.hexdigest()


def _describe(operation: Operation) -> None:
    """What the documents say about it."""
    parameter = {
        "in": "header",
        "name": HEADER,
        "required": False,
        "description": "A word of your own: the same request with the same one does nothing twice, for 24 h.",
        "schema": {"type": "string", "pattern": KEY_PATTERN},
    }
    extra = operation.openapi_extra or {}
    operation.openapi_extra = {**extra, "parameters": [*extra.get("parameters", []), parameter]}
    operation.response_models[409] = operation._create_response_model(ErrorAnswer)
