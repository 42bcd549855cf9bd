"""Who may speak: API keys, start tokens, logins, and this machine itself in the development profile."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.db import Error
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.utils.module_loading import import_string
from django.utils.translation import gettext as _
from ninja.utils import check_csrf

from speechsite.config import get_config
from transcription.credentials import header_credential, native_credential
from transcription.database_threads import DatabaseThreads, TooManyJobs
from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated
from transcription.keyring import KEY_PREFIX, Keyring
from transcription.metrics import ADMISSION_REFUSED_TOTAL, AUTH_FAILURES_TOTAL
from transcription.origins import (
    is_loopback,
    may_come_without_credentials,
    origin_is_allowed,
    socket_headers,
)
from transcription.principals import LOCAL, Principal

__all__ = [
    "Lookups",
    "Principal",
    "WrongOrigin",
    "aclose",
    "authenticate_socket",
    "is_loopback",
    "issue_start_token",
    "origin_is_allowed",
    "read_start_token",
    "request_principal",
    "token_expired",
]

logger = logging.getLogger(__name__)

T = TypeVar("T")

LOOKUP_TIMEOUT_S = 2.0
STORAGE_RETRY_AFTER_MS = 5000
TOKEN_LIFETIME_S = 60
MAX_CREDENTIAL_CHARACTERS = 2000
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


@dataclass(frozen=True, slots=True)
class Lookups:
    """What looking up credentials needs: threads, never the shared one, and the cache of keys."""

    threads: DatabaseThreads
    keyring: Keyring

    async def aclose(self) -> None:
        await self.keyring.aclose()
        await self.threads.aclose()


@functools.lru_cache(maxsize=1)
def _shared_lookups() -> Lookups:
    threads = DatabaseThreads(size=2, name="auth")
    return Lookups(threads, Keyring(threads))


async def aclose() -> None:
    """Close the connections and forget the keys that this process's look-ups keep; the next one begins anew."""
    lookups = _shared_lookups()
    _shared_lookups.cache_clear()
    await lookups.aclose()


class WrongOrigin(NotAuthenticated):
    """A browser's page of another site. A socket is refused in the handshake (HTTP 403)."""

    default_reason = "wrong_origin"


async def authenticate_socket(
    scope: Mapping[str, Any],
    *,
    lookups: Lookups | None = None,
    takes_expired_tokens: bool = False,
    credential_of: Callable[[Mapping[str, str], Sequence[str]], str | None] = native_credential,
) -> Principal:
    """Whom a WebSocket's credentials stand for.

    credential_of: finds the key or token among the headers, by lower-case name, and the subprotocols.
    takes_expired_tokens: a start token past its time gives a principal with has_expired, for the caller to judge.

    A key or token decides alone: cookies are then not looked at and any Origin may connect. Raises WrongOrigin
    where only a cookie or loopback speaks for a page of another site, NotAuthenticated for wrong or no
    credentials, and AtCapacity when the database does not answer in time.
    """
    headers, lookups = socket_headers(scope), lookups or _shared_lookups()
    credential = credential_of(headers, scope.get("subprotocols", ()))
    if credential is not None:
        return await _credential_principal(credential, lookups.keyring, takes_expired_tokens)
    if "origin" in headers and not origin_is_allowed(scope):
        raise _refused("origin", WrongOrigin(_("This page may not use the service from its address.")))
    cookie = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    if cookie and "origin" in headers:
        user = await _answered(lookups.threads.run(_user_of_cookie, cookie, timeout_s=LOOKUP_TIMEOUT_S))
        if user is not None:
            return _user_principal(user)
    client = scope.get("client") or (None, 0)
    if _is_open_to(headers, address=client[0], scheme=str(scope.get("scheme", "ws"))):
        return LOCAL
    raise _refused("login" if cookie else "missing", NotAuthenticated(_("Log in or use a key.")))


def request_principal(request: HttpRequest) -> Principal:
    """The same for an HTTP request: Bearer, X-API-Key, the login (CSRF checked), or loopback in development.

    Raises NotAuthenticated, and NotAllowed where a login's request lacks its CSRF token.
    """
    credential = header_credential({"authorization": request.headers.get("Authorization", "")})
    if credential is None:
        credential = request.headers.get("X-API-Key")
    if credential is not None:
        principal = _key_principal(credential)
        if principal is None:
            raise _refused("key", NotAuthenticated(_("This key is not valid."), reason="wrong_key"))
        return principal
    if request.user.is_authenticated:
        if request.method not in SAFE_METHODS and check_csrf(request) is not None:
            raise NotAllowed(_("The page is out of date. Reload it and try again."), reason="csrf")
        return _user_principal(cast(AbstractBaseUser, request.user))
    headers = {name.lower(): value for name, value in request.headers.items()}
    if _is_open_to(headers, address=request.META.get("REMOTE_ADDR"), scheme=request.scheme or "http"):
        return LOCAL
    raise _refused("missing", NotAuthenticated(_("Log in or use a key.")))


def issue_start_token(session_public_id: str, principal: Principal) -> tuple[str, datetime]:
    """A token that may start this one session for its owner, and when it ends.

    It goes into a subprotocol, so it has only letters, digits, `-`, `_` and `.`.
    """
    claims = {"s": session_public_id, "u": principal.user_id, "k": principal.key_id, "l": principal.label}
    return _signer().sign_object(claims), timezone.now() + timedelta(seconds=TOKEN_LIFETIME_S)


def read_start_token(token: str, *, takes_expired: bool = False) -> Principal:
    """Whom a start token stands for. Raises NotAuthenticated if it is not ours, changed, or too old.

    takes_expired: one that is too old gives a principal with has_expired. That a token works only once is the
    store's: the session it names can be started only once.
    """
    try:
        claims, has_expired = _signer().unsign_object(token, max_age=TOKEN_LIFETIME_S), False
    except signing.SignatureExpired:
        if not takes_expired:
            raise _refused("token", token_expired()) from None
        claims, has_expired = _signer().unsign_object(token), True
    except (signing.BadSignature, ValueError):
        raise _refused("token", NotAuthenticated(_("This token is not valid."), reason="wrong_token")) from None
    return Principal(
        kind="token",
        user_id=claims["u"],
        key_id=claims["k"],
        session_id=claims["s"],
        label=claims["l"],
        has_expired=has_expired,
    )


def token_expired() -> NotAuthenticated:
    return NotAuthenticated(_("This token has expired. Get a new one."), reason="token_expired")


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(sep=".", salt="transcription.start")


async def _credential_principal(credential: str, keyring: Keyring, takes_expired_tokens: bool) -> Principal:
    if len(credential) > MAX_CREDENTIAL_CHARACTERS:
        raise _refused("key", NotAuthenticated(_("This key is not valid."), reason="wrong_key"))
    if not credential.startswith(KEY_PREFIX):
        return read_start_token(credential, takes_expired=takes_expired_tokens)
    principal = await _answered(keyring.find(credential, timeout_s=LOOKUP_TIMEOUT_S))
    if principal is None:
        raise _refused("key", NotAuthenticated(_("This key is not valid."), reason="wrong_key"))
    return principal


def _key_principal(text: str) -> Principal | None:
    if len(text) > MAX_CREDENTIAL_CHARACTERS:
        return None
    try:
        return _shared_lookups().keyring.find_now(text)
    except Error as error:
        raise _cannot_check(error) from None


async def _answered(lookup: Awaitable[T]) -> T:
    try:
        return await lookup
    except (Error, TimeoutError, TooManyJobs) as error:
        raise _cannot_check(error) from None


def _cannot_check(error: Exception) -> AtCapacity:
    logger.warning("Credentials could not be looked up: %s", type(error).__name__)
    ADMISSION_REFUSED_TOTAL.labels(reason="db").inc()
    return AtCapacity(
        _("The service cannot check credentials right now. Please try again."),
        reason="storage_unavailable",
        retry_after_ms=STORAGE_RETRY_AFTER_MS,
    )


def _user_of_cookie(session_key: str) -> AbstractBaseUser | None:
    """The person of a login cookie: Django's own rules, but nothing is written."""
    store: type[SessionBase] = import_string(f"{settings.SESSION_ENGINE}.SessionStore")
    session = store(session_key)
    backend_path = session.get(BACKEND_SESSION_KEY, "")
    if SESSION_KEY not in session or backend_path not in settings.AUTHENTICATION_BACKENDS:
        return None
    user_id = get_user_model()._meta.pk.to_python(session[SESSION_KEY])
    user: AbstractBaseUser | None = load_backend(backend_path).get_user(user_id)
    if user is None:
        return None
    kept_hash = session.get(HASH_SESSION_KEY, "")
    hashes = [user.get_session_auth_hash(), *user.get_session_auth_fallback_hash()]
    return user if any(constant_time_compare(kept_hash, known) for known in hashes) else None


def _user_principal(user: AbstractBaseUser) -> Principal:
    return Principal(kind="user", user_id=user.pk, label=user.get_username())


def _is_open_to(headers: Mapping[str, str], *, address: str | None, scheme: str) -> bool:
    config = get_config()
    return may_come_without_credentials(
        headers,
        address=address,
        scheme=scheme,
        is_production=config.is_production,
        allowed=config.allowed_origins,
    )


def _refused(kind: str, error: NotAuthenticated) -> NotAuthenticated:
    AUTH_FAILURES_TOTAL.labels(kind=kind).inc()
    return error
