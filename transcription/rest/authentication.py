"""The ways in which a request of the HTTP API says whose it is; auth.py judges."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest
from ninja.security.base import AuthBase

from transcription.access import require_scope
from transcription.identity.auth import request_principal
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope


class BearerKey(AuthBase):
    """`Authorization: Bearer KEY`."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __call__(self, request: HttpRequest) -> Principal | None:
        return request_principal(request) if "Authorization" in request.headers else None


class HeaderKey(AuthBase):
    """`X-API-Key: KEY`."""

    openapi_type = "apiKey"
    openapi_in = "header"
    openapi_name = "X-API-Key"

    def __call__(self, request: HttpRequest) -> Principal | None:
        return request_principal(request) if "X-API-Key" in request.headers else None


class Login(AuthBase):
    """The login of the pages; in the development profile also a client on this machine without any."""

    openapi_type = "apiKey"
    openapi_in = "cookie"
    openapi_name = settings.SESSION_COOKIE_NAME

    def __call__(self, request: HttpRequest) -> Principal:
        return request_principal(request)


def principal_of(request: HttpRequest, *scopes: Scope) -> Principal:
    """Whom this request's credentials stand for; every operation but the open ones has one.

    Raises NotAllowed for a key that may not be used for all of the scopes.
    """
    principal: Principal = request.auth  # type: ignore[attr-defined]  # set by the framework from our auth
    for scope in scopes:
        require_scope(principal, scope)
    return principal
