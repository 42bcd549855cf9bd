"""The AsyncAPI document of the sockets, beside the OpenAPI one."""

from __future__ import annotations

import functools
import json

from django.http import HttpRequest, HttpResponse
from ninja import Router

from speechsite.config import get_config
from transcription.asyncapi.document import build_document

# A site has few names; another one costs some 50 ms.
MAX_KEPT_DOCUMENTS = 8

router = Router(tags=["service"])


@router.get("/asyncapi.json", auth=None, include_in_schema=False)
def read_asyncapi(request: HttpRequest) -> HttpResponse:
    """Its server is the one that was asked."""
    return HttpResponse(_text(request.get_host(), request.is_secure()), content_type="application/json")


@functools.lru_cache(maxsize=MAX_KEPT_DOCUMENTS)
def _text(host: str, is_secure: bool) -> str:
    config = get_config()
    document = build_document(
        title=config.project_name,
        version=config.version,
        host=host,
        scheme="wss" if is_secure else "ws",
        api=config.api_v1_str,
    )
    return json.dumps(document, ensure_ascii=False)
