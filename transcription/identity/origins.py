"""Where a browser's request comes from: Origin, Host and client address. Pure but for the settings."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host

from speechsite.config import get_config

DEFAULT_PORTS = {"http": 80, "https": 443}
WEB_SCHEMES = {"ws": "http", "wss": "https", "http": "http", "https": "https"}
PROXY_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")

Origin = tuple[str, str, int]


def is_loopback(address: str | None) -> bool:
    """Whether an address is this machine's own (127.0.0.0/8, ::1, also mapped into IPv6)."""
    if not address:
        return False
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(parsed, "ipv4_mapped", None)
    return bool((mapped or parsed).is_loopback)


def parse_origin(text: str) -> Origin | None:
    """Scheme, host and port with defaults written out; None for `null` and whatever is not a whole origin."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or parts.path or parts.query or parts.fragment:
        return None
    if parts.username is not None or parts.password is not None:
        return None
    return parts.scheme, parts.hostname.lower(), port or DEFAULT_PORTS[parts.scheme]


def host_is_allowed(host: str) -> bool:
    """Whether a Host header names this site. Without this a name that resolves to us would be "our own origin"."""
    domain, _port = split_domain_port(host)
    return bool(domain) and validate_host(domain, settings.ALLOWED_HOSTS)


def origin_matches(origin: str, *, scheme: str, host: str, allowed: Iterable[str]) -> bool:
    """Whether an Origin header is the site's own (scheme and Host of the request) or one of the allowed."""
    parsed = parse_origin(origin)
    if parsed is None:
        return False
    if parsed in {parse_origin(other) for other in allowed}:
        return True
    return host_is_allowed(host) and parsed == parse_origin(f"{WEB_SCHEMES.get(scheme, scheme)}://{host}")


def socket_headers(scope: Mapping[str, Any]) -> dict[str, str]:
    """The headers of an ASGI scope by lower-case name; repeated ones joined by a comma."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope.get("headers", ()):
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def origin_is_allowed(scope: Mapping[str, Any]) -> bool:
    """Whether a socket's Origin is the site's own or one of ALLOWED_ORIGINS; false for none and for `null`."""
    headers = socket_headers(scope)
    return "origin" in headers and origin_matches(
        headers["origin"],
        scheme=str(scope.get("scheme", "ws")),
        host=headers.get("host", ""),
        allowed=get_config().allowed_origins,
    )


def may_come_without_credentials(
    headers: Mapping[str, str], *, address: str | None, scheme: str, is_production: bool, allowed: Iterable[str]
) -> bool:
    """The development profile's open door: this machine only, from our own pages or from no browser at all.

    A proxy on this machine makes the whole world look like loopback, and a name that resolves to loopback
    makes a foreign page look like ours: neither passes.
    """
    if is_production or not is_loopback(address) or any(name in headers for name in PROXY_HEADERS):
        return False
    host = headers.get("host", "")
    if not host_is_allowed(host):
        return False
    return "origin" not in headers or origin_matches(headers["origin"], scheme=scheme, host=host, allowed=allowed)


def storable_address(address: str | None) -> str | None:
    """An address as the database takes it: without an IPv6 zone; None for what is not an address."""
    try:
        return str(ipaddress.ip_address((address or "").partition("%")[0]))
    except ValueError:
        return None
