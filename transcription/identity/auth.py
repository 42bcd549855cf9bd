"""Who may speak: API keys, start tokens, logins, and this machine itself in the development profile."""

from __future__ import annotations

import functools
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.db import Error
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja.utils import check_csrf

from speechsite.config import get_config
from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated, TooFast
from transcription.identity.credentials import header_credential, native_credential
from transcription.identity.guesses import WrongCredentials
from transcription.identity.keyring import KEY_PREFIX, Keyring
from transcription.identity.keys import user_of_login
from transcription.identity.origins import (
    is_loopback,
    may_come_without_credentials,
    origin_is_allowed,
    socket_headers,
)
from transcription.identity.principals import LOCAL, Principal
from transcription.identity.scopes import Scope
from transcription.identity.tokens import TOKEN_START, redeem_token
from transcription.limits.windows import WindowCounts
from transcription.metrics import ADMISSION_REFUSED_TOTAL, AUTH_FAILURES_TOTAL
from transcription.storage.database_threads import DatabaseThreads, TooManyJobs

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
START_SCOPES = frozenset({Scope.TRANSCRIBE})
RATE_WINDOW_S = 60.0
MAX_CREDENTIAL_CHARACTERS = 2000
SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")


@dataclass(frozen=True, slots=True)
class Lookups:
    """What looking up credentials needs: threads, never the shared one, the cache of keys, and two counts.

    wrong: credentials that were, by address. requests: those of each key within a minute, in this process.
    """

    threads: DatabaseThreads
    keyring: Keyring
    wrong: WrongCredentials = field(default_factory=lambda: WrongCredentials(spares_loopback=True))
    requests: WindowCounts = field(default_factory=lambda: WindowCounts(RATE_WINDOW_S))

    async def aclose(self) -> None:
        await self.keyring.aclose()
        await self.threads.aclose()


@functools.lru_cache(maxsize=1)
def _shared_lookups() -> Lookups:
    threads = DatabaseThreads(size=2, name="auth")
    wrong = WrongCredentials(spares_loopback=not get_config().is_production)
    return Lookups(threads, Keyring(threads), wrong)


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
    credentials, TooFast after too many wrong ones, and AtCapacity when the database does not answer in time.
    """
    headers, lookups = socket_headers(scope), lookups or _shared_lookups()
    client = scope.get("client") or (None, 0)
    credential = credential_of(headers, scope.get("subprotocols", ()))
    if credential is not None:
        return await _credential_principal(credential, lookups, client[0], takes_expired_tokens)
    if "origin" in headers and not origin_is_allowed(scope):
        raise _refused("origin", WrongOrigin(_("This page may not use the service from its address.")))
    cookie = parse_cookie(headers.get("cookie", "")).get(settings.SESSION_COOKIE_NAME)
    if cookie and "origin" in headers:
        user = await _answered(lookups.threads.run(user_of_login, cookie, timeout_s=LOOKUP_TIMEOUT_S))
        if user is not None:
            return _user_principal(user, cookie)
    if _is_open_to(headers, address=client[0], scheme=str(scope.get("scheme", "ws"))):
        return LOCAL
    raise _refused("login" if cookie else "missing", NotAuthenticated(_("Log in or use a key.")))


def request_principal(request: HttpRequest) -> Principal:
    """The same for an HTTP request: Bearer, X-API-Key, the login (CSRF checked), or loopback in development.

    Raises NotAuthenticated, TooFast after too many wrong credentials or requests of a key, and NotAllowed where a
    login's request lacks its CSRF token.
    """
    credential = header_credential({"authorization": request.headers.get("Authorization", "")})
    if credential is None:
        credential = request.headers.get("X-API-Key")
    if credential is not None:
        lookups = _shared_lookups()
        principal = _key_principal(credential, lookups, request.META.get("REMOTE_ADDR"))
        _count_request(principal, lookups.requests)
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
            raise token_expired() from None
        claims, has_expired = _signer().unsign_object(token), True
    except (signing.BadSignature, ValueError):
        raise NotAuthenticated(_("This token is not valid."), reason="wrong_token") from None
    return Principal(
        kind="token",
        user_id=claims["u"],
        key_id=claims["k"],
        session_id=claims["s"],
        label=claims["l"],
        has_expired=has_expired,
        scopes=START_SCOPES,
    )


def token_expired() -> NotAuthenticated:
    return NotAuthenticated(_("This token has expired. Get a new one."), reason="token_expired")


def _signer() -> signing.TimestampSigner:
    return signing.TimestampSigner(sep=".", salt="transcription.start")


async def _credential_principal(
    credential: str, lookups: Lookups, address: str | None, takes_expired_tokens: bool
) -> Principal:
    with _guarded(credential, lookups, address):
        if credential.startswith(TOKEN_START):
            return await _answered(lookups.threads.run(redeem_token, credential, timeout_s=LOOKUP_TIMEOUT_S))
        if not credential.startswith(KEY_PREFIX):
            return read_start_token(credential, takes_expired=takes_expired_tokens)
        principal = await _answered(lookups.keyring.find(credential, timeout_s=LOOKUP_TIMEOUT_S))
        if principal is None:
            raise _wrong_key()
        return principal


def _key_principal(text: str, lookups: Lookups, address: str | None) -> Principal:
    with _guarded(text, lookups, address):
        try:
            principal = lookups.keyring.find_now(text)
        except Error as error:
            raise _cannot_check(error) from None
        if principal is None:
            raise _wrong_key()
        return principal


@contextmanager
def _guarded(credential: str, lookups: Lookups, address: str | None) -> Iterator[None]:
    """Look up a credential, unless too many wrong ones came before; count what is refused."""
    if len(credential) > MAX_CREDENTIAL_CHARACTERS:
        raise _refused("key", _wrong_key())
    kind = "key" if credential.startswith(KEY_PREFIX) else "token"
    if lookups.keyring.cached(credential) is None:
        try:
            lookups.wrong.check(address, credential)
        except TooFast:
            AUTH_FAILURES_TOTAL.labels(kind="too_many").inc()
            raise
    try:
        yield
    except NotAuthenticated as error:
        if error.reason in ("wrong_key", "wrong_token"):
            lookups.wrong.count(address, credential)
        raise _refused(kind, error) from None


def _wrong_key() -> NotAuthenticated:
    return NotAuthenticated(_("This key is not valid."), reason="wrong_key")


def _count_request(principal: Principal, requests: WindowCounts) -> None:
    """Raises TooFast for one more than the key may make in a minute."""
    if not principal.rate_limit:
        return
    wait_s = requests.wait_s(principal.key_id, principal.rate_limit)
    if wait_s:
        raise TooFast(
            _("This key may make %(limit)d requests a minute.") % {"limit": principal.rate_limit},
            reason="rate_limit",
            retry_after_ms=round(wait_s * 1000),
        )
    requests.add(principal.key_id)


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


def _user_principal(user: AbstractBaseUser, login: str = "") -> Principal:
    return Principal(kind="user", user_id=user.pk, label=user.get_username(), login=login)


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
