"""Everything that a request does is done by whoever made it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponseBase

from transcription.audit.actors import acting


class AuditMiddleware:
    """Binds the request, so that whatever is recorded on its way is its actor's."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self._get_response = get_response
        self._is_async = iscoroutinefunction(get_response)
        if self._is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self._is_async:
            return self._answer(request)
        with acting(request):
            response: HttpResponseBase = self._get_response(request)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with acting(request):
            response: HttpResponseBase = await self._get_response(request)
        return response
