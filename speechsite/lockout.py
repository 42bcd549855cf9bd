"""Who tried too many passwords: what django-axes asks of this site, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

FAILURES = 5
LOCKED_FOR_S = 15 * 60
MAX_NAME_CHARACTERS = 150


def client_address(request: HttpRequest) -> str | None:
    """What counts as one address: of the connection, as the server and the proxies it trusts say; a /64 in IPv6."""
    # Settings name this function, and the applications are not loaded before the settings.
    from transcription.limits.waiting_connections import client_of

    address = str(request.META.get("REMOTE_ADDR") or "").partition("%")[0]
    try:
        ip_address(address)
    except ValueError:
        return None  # a Unix socket has none
    return client_of(address)


def tried_name(request: HttpRequest, credentials: Mapping[str, Any] | None) -> str:
    """The user name that was tried, no longer than a column takes; Django's login form bounds it in browsers alone."""
    name = (credentials or {}).get("username") or request.POST.get("username") or ""
    return str(name)[:MAX_NAME_CHARACTERS]


def count_failure(sender: Any, **_facts: Any) -> None:
    """Of a signal."""
    from transcription.metrics import AUTH_FAILURES_TOTAL

    AUTH_FAILURES_TOTAL.labels(kind="password").inc()


def answer_locked_out(request: HttpRequest, *_facts: Any) -> HttpResponse:
    """The page for somebody who may not try now; the right password would not help."""
    minutes = LOCKED_FOR_S // 60
    response = render(request, "registration/locked_out.html", {"minutes": minutes}, status=429)
    response["Retry-After"] = str(LOCKED_FOR_S)
    response["Cache-Control"] = "no-store"
    return response
