from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.db import OperationalError
from django.db.models.functions import Now
from django.test import Client, RequestFactory
from django.utils import timezone
from prometheus_client import REGISTRY

from transcription.errors import AtCapacity, NotAllowed, NotAuthenticated, TooFast
from transcription.identity import auth
from transcription.identity.auth import (
    TOKEN_LIFETIME_S,
    Lookups,
    WrongOrigin,
    authenticate_socket,
    issue_start_token,
    origin_is_allowed,
    read_start_token,
    request_principal,
)
from transcription.identity.guesses import MAX_WRONG
from transcription.identity.keyring import CACHE_S, MAX_CACHED_KEYS, Keyring
from transcription.identity.origins import may_come_without_credentials, origin_matches
from transcription.identity.principals import LOCAL, Principal
from transcription.identity.scopes import Scope
from transcription.identity.tokens import issue_token
from transcription.models import ApiKey
from transcription.tests.old_tokens import expired_token
from transcription.tests.sessions import Clock, ScriptedThreads

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.databases]

OUTSIDE = "203.0.113.9"
SITE = "http://127.0.0.1:8000"


@pytest.fixture
async def threads(transactional_db: None) -> AsyncIterator[ScriptedThreads]:
    threads = ScriptedThreads()
    yield threads
    await threads.aclose()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keyring(threads: ScriptedThreads, clock: Clock) -> Keyring:
    return Keyring(threads, clock=clock)


@pytest.fixture
async def lookups(threads: ScriptedThreads, keyring: Keyring) -> Lookups:
    return Lookups(threads, keyring)


@pytest.fixture(autouse=True)
async def _nothing_cached(transactional_db: None) -> AsyncIterator[None]:
    yield
    await auth.aclose()


def scope(*, client: str = OUTSIDE, subprotocols: tuple[str, ...] = (), scheme: str = "ws", **headers: str) -> Any:
    named = {"host": "127.0.0.1:8000"} | {name.replace("_", "-"): value for name, value in headers.items()}
    return {
        "type": "websocket",
        "scheme": scheme,
        "client": (client, 50000),
        "subprotocols": list(subprotocols),
        "headers": [(name.encode(), value.encode()) for name, value in named.items()],
    }


def failures(kind: str) -> float:
    return REGISTRY.get_sample_value("speech_auth_failures_total", {"kind": kind}) or 0


def make_user(name: str) -> Any:
    return get_user_model().objects.create_user(name, password="correct horse")


def login_cookie(user: Any) -> str:
    client = Client()
    client.force_login(user)
    return f"{django_settings.SESSION_COOKIE_NAME}={client.cookies[django_settings.SESSION_COOKIE_NAME].value}"


# Keys


async def test_a_key_speaks_for_itself_and_its_owner(lookups: Lookups, threads: ScriptedThreads) -> None:
    user = await threads.run(make_user, "anna")
    key, text = await threads.run(ApiKey.create, "app", user)
    expected = Principal("key", user_id=user.pk, key_id=key.pk, label="app")
    assert await authenticate_socket(scope(authorization=f"Bearer {text}"), lookups=lookups) == expected
    offered = ("speech.v1", f"speech.token.{text}")
    assert await authenticate_socket(scope(subprotocols=offered), lookups=lookups) == expected


async def test_with_a_key_any_origin_may_connect_and_cookies_do_not_count(
    lookups: Lookups, threads: ScriptedThreads
) -> None:
    cookie = await threads.run(lambda: login_cookie(make_user("anna")))
    key, text = await threads.run(ApiKey.create, "app")
    foreign = scope(authorization=f"bearer {text}", origin="https://evil.example", cookie=cookie)
    assert (await authenticate_socket(foreign, lookups=lookups)).key_id == key.pk


@pytest.mark.parametrize("wrong", ["spk_00000000_nonsense", "spk_", "spk_" + "x" * 5000, "", "nonsense"])
async def test_a_wrong_key_is_refused_even_where_none_is_needed(lookups: Lookups, wrong: str) -> None:
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(client="127.0.0.1", authorization=f"Bearer {wrong}"), lookups=lookups)


async def test_a_wrong_key_is_counted(lookups: Lookups) -> None:
    before = failures("key")
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(authorization="Bearer spk_00000000_x"), lookups=lookups)
    assert failures("key") == before + 1


async def test_a_key_of_a_person_who_may_not_log_in_is_refused(lookups: Lookups, threads: ScriptedThreads) -> None:
    user = await threads.run(make_user, "anna")
    _, text = await threads.run(ApiKey.create, "app", user)
    await threads.run(lambda: get_user_model().objects.update(is_active=False))
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(authorization=f"Bearer {text}"), lookups=lookups)


async def test_a_key_is_looked_up_once_and_again_when_its_time_is_over(
    keyring: Keyring, threads: ScriptedThreads, clock: Clock
) -> None:
    _, text = await threads.run(ApiKey.create, "app")
    threads.ran.clear()
    for _ in range(3):
        assert await keyring.find(text, timeout_s=30)
    assert threads.ran.count("_look_up") == 1
    await threads.run(lambda: ApiKey.objects.all().delete())
    clock.advance(CACHE_S)
    assert await keyring.find(text, timeout_s=30) is None
    await keyring.aclose()


async def test_the_cache_of_keys_is_bounded(keyring: Keyring, threads: ScriptedThreads) -> None:
    _, text = await threads.run(ApiKey.create, "app")
    assert await keyring.find(text, timeout_s=30)
    for number in range(MAX_CACHED_KEYS):
        keyring._keep(f"key {number}", (LOCAL, CACHE_S))
    threads.ran.clear()
    assert await keyring.find(text, timeout_s=30)
    assert threads.ran.count("_look_up") == 1
    await keyring.aclose()


async def test_the_last_use_is_noted_at_most_once_a_minute(
    keyring: Keyring, threads: ScriptedThreads, clock: Clock
) -> None:
    _, text = await threads.run(ApiKey.create, "app")
    for _ in range(3):
        await keyring.find(text, timeout_s=30)
    await keyring.aclose()
    first = (await threads.run(ApiKey.objects.get)).last_used_at
    assert first is not None
    assert threads.ran.count("_write_last_used") == 1
    clock.advance(61)
    await keyring.find(text, timeout_s=30)
    await keyring.aclose()
    assert (await threads.run(ApiKey.objects.get)).last_used_at == first  # noted by the table less than 60 s ago
    await threads.run(lambda: ApiKey.objects.update(last_used_at=Now() - timedelta(seconds=61)))
    clock.advance(61)
    await keyring.find(text, timeout_s=30)
    await keyring.aclose()
    latest = (await threads.run(ApiKey.objects.get)).last_used_at
    assert latest is not None
    assert latest >= first


async def test_a_database_that_is_away_is_not_taken_for_a_wrong_key(lookups: Lookups, threads: ScriptedThreads) -> None:
    threads.before.append(OperationalError("away"))
    with pytest.raises(AtCapacity) as refused:
        await authenticate_socket(scope(authorization="Bearer spk_00000000_x"), lookups=lookups)
    assert (refused.value.reason, refused.value.retryable) == ("storage_unavailable", True)


# Start tokens


def test_a_token_stands_for_who_got_it_and_one_session() -> None:
    token, expires_at = issue_start_token("abc", Principal("key", user_id=3, key_id=4, label="app"))
    assert read_start_token(token) == Principal(
        "token", user_id=3, key_id=4, session_id="abc", label="app", scopes=frozenset({Scope.TRANSCRIBE})
    )
    assert timedelta(seconds=TOKEN_LIFETIME_S - 5) < expires_at - timezone.now()
    assert expires_at - timezone.now() <= timedelta(seconds=TOKEN_LIFETIME_S)


@pytest.mark.parametrize("label", ["a", "ab", "abc", "Ä:=?"])
def test_a_token_fits_into_a_subprotocol(label: str) -> None:
    token, _ = issue_start_token("abc", Principal("user", user_id=3, label=label))
    assert re.fullmatch(r"[A-Za-z0-9._-]+", token)


@pytest.mark.parametrize("spoil", [lambda t: t[:-2], lambda t: "x" + t, lambda _: "", lambda t: t.replace(".", ":")])
def test_a_changed_token_is_refused(spoil: Callable[[str], str]) -> None:
    token, _ = issue_start_token("abc", LOCAL)
    with pytest.raises(NotAuthenticated) as refused:
        read_start_token(spoil(token))
    assert refused.value.reason == "wrong_token"


def test_an_old_token_is_refused() -> None:
    with pytest.raises(NotAuthenticated) as refused:
        read_start_token(expired_token("abc"))
    assert refused.value.reason == "token_expired"


async def test_an_old_token_speaks_where_a_session_may_be_taken_up_again(lookups: Lookups) -> None:
    offered = scope(subprotocols=("speech.v1", f"speech.token.{expired_token('abc', user_id=3)}"))
    principal = await authenticate_socket(offered, lookups=lookups, takes_expired_tokens=True)
    assert (principal.session_id, principal.user_id, principal.has_expired) == ("abc", 3, True)
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(offered, lookups=lookups)
    changed = scope(subprotocols=("speech.v1", f"speech.token.x{expired_token('abc')}"))
    with pytest.raises(NotAuthenticated) as refused:
        await authenticate_socket(changed, lookups=lookups, takes_expired_tokens=True)
    assert refused.value.reason == "wrong_token"


async def test_a_token_opens_a_socket(lookups: Lookups) -> None:
    token, _ = issue_start_token("abc", Principal("user", user_id=3, label="anna"))
    offered = scope(subprotocols=("speech.v1", f"speech.token.{token}"), origin="https://other.example")
    assert (await authenticate_socket(offered, lookups=lookups)).session_id == "abc"


# Logins


async def test_a_login_speaks_from_our_own_pages_only(lookups: Lookups, threads: ScriptedThreads) -> None:
    user = await threads.run(make_user, "anna")
    cookie = await threads.run(login_cookie, user)
    principal = await authenticate_socket(scope(origin=SITE, cookie=cookie), lookups=lookups)
    assert principal == Principal("user", user_id=user.pk, label="anna")
    before = failures("origin")
    with pytest.raises(WrongOrigin):
        await authenticate_socket(scope(origin="https://evil.example", cookie=cookie), lookups=lookups)
    assert failures("origin") == before + 1
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(cookie=cookie), lookups=lookups)


async def test_a_login_ends_with_a_new_password_or_the_account(lookups: Lookups, threads: ScriptedThreads) -> None:
    user = await threads.run(make_user, "anna")
    cookie = await threads.run(login_cookie, user)

    def change_password() -> None:
        user.set_password("another one")
        user.save()

    await threads.run(change_password)
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(origin=SITE, cookie=cookie), lookups=lookups)
    cookie = await threads.run(login_cookie, user)
    await threads.run(lambda: get_user_model().objects.update(is_active=False))
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(origin=SITE, cookie=cookie), lookups=lookups)


async def test_a_made_up_cookie_is_refused(lookups: Lookups) -> None:
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(origin=SITE, cookie="sessionid=made-up"), lookups=lookups)


# This machine, in development


async def test_loopback_may_come_without_credentials_in_development(lookups: Lookups) -> None:
    for client in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
        assert await authenticate_socket(scope(client=client), lookups=lookups) == LOCAL
        assert await authenticate_socket(scope(client=client, origin=SITE), lookups=lookups) == LOCAL


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"host": "rebound.example:8000"},
        {"host": "rebound.example:8000", "origin": "http://rebound.example:8000"},
        {"x_forwarded_for": "203.0.113.9"},
        {"forwarded": "for=203.0.113.9"},
    ],
)
async def test_loopback_is_refused_to_foreign_pages_and_proxies(lookups: Lookups, headers: Any) -> None:
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(client="127.0.0.1", **headers), lookups=lookups)


@pytest.mark.parametrize("client", [OUTSIDE, "10.0.0.1", "::2", "localhost", ""])
async def test_others_need_credentials(lookups: Lookups, client: str) -> None:
    with pytest.raises(NotAuthenticated):
        await authenticate_socket(scope(client=client), lookups=lookups)


def test_production_has_no_open_door() -> None:
    door = {"address": "127.0.0.1", "scheme": "ws", "allowed": []}
    headers = {"host": "127.0.0.1:8000"}
    assert may_come_without_credentials(headers, is_production=False, **door)  # type: ignore[arg-type]
    assert not may_come_without_credentials(headers, is_production=True, **door)  # type: ignore[arg-type]


# Origins


@pytest.mark.parametrize(
    ("origin", "scheme", "host", "is_allowed"),
    [
        ("http://127.0.0.1:8000", "ws", "127.0.0.1:8000", True),
        ("http://LOCALHOST:8000", "ws", "localhost:8000", True),
        ("http://localhost", "ws", "localhost:80", True),
        ("https://localhost", "wss", "localhost", True),
        ("http://[::1]:8000", "ws", "[::1]:8000", True),
        ("https://localhost:8000", "ws", "localhost:8000", False),
        ("http://localhost:8000", "wss", "localhost:8000", False),
        ("http://localhost:8001", "ws", "localhost:8000", False),
        ("http://sub.localhost:8000", "ws", "localhost:8000", False),
        ("http://localhost:8000.evil.example", "ws", "localhost:8000", False),
        ("http://user@localhost:8000", "ws", "localhost:8000", False),
        ("http://localhost:8000/path", "ws", "localhost:8000", False),
        ("http://evil.example:8000", "ws", "evil.example:8000", False),
        ("null", "ws", "localhost:8000", False),
        ("", "ws", "localhost:8000", False),
        ("http://localhost:8000,http://evil.example", "ws", "localhost:8000", False),
        ("http://localhost:99999", "ws", "localhost:99999", False),
    ],
)
def test_an_origin_is_compared_whole(origin: str, scheme: str, host: str, is_allowed: bool) -> None:
    assert origin_is_allowed(scope(scheme=scheme, origin=origin, host=host)) is is_allowed


def test_other_origins_may_be_allowed_by_name() -> None:
    named = {"scheme": "wss", "host": "site.example", "allowed": ["https://app.example"]}
    assert origin_matches("https://app.example:443", **named)  # type: ignore[arg-type]
    assert not origin_matches("http://app.example", **named)  # type: ignore[arg-type]
    assert not origin_matches("null", **named)  # type: ignore[arg-type]


# HTTP


def request(method: str = "GET", *, user: Any = None, address: str = OUTSIDE, **headers: str) -> Any:
    made = RequestFactory(headers={"Host": "127.0.0.1:8000"} | headers).generic(
        method, "/api/v1/x", REMOTE_ADDR=address
    )
    made.user = user or AnonymousUser()
    return made


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_request_may_carry_its_key_in_either_header(header: str) -> None:
    key, text = ApiKey.create("app")
    value = f"Bearer {text}" if header == "Authorization" else text
    assert request_principal(request("POST", **{header: value})).key_id == key.pk
    key.refresh_from_db()
    assert key.last_used_at is not None
    with pytest.raises(NotAuthenticated):
        request_principal(request(address="127.0.0.1", **{header: value[:-1]}))


def test_a_login_may_read_and_needs_its_csrf_token_to_write() -> None:
    user = make_user("anna")
    assert request_principal(request(user=user)) == Principal("user", user_id=user.pk, label="anna")
    with pytest.raises(NotAllowed):
        request_principal(request("POST", user=user))
    secret = "a" * 32
    allowed = request("POST", user=user, **{"X-CSRFToken": secret, "Cookie": f"csrftoken={secret}"})
    assert request_principal(allowed).user_id == user.pk


def test_a_request_from_this_machine_needs_no_key_in_development() -> None:
    assert request_principal(request("POST", address="127.0.0.1")) == LOCAL
    assert request_principal(request("POST", address="127.0.0.1", Origin=SITE)) == LOCAL
    for foreign in ("https://evil.example", "null"):
        with pytest.raises(NotAuthenticated):
            request_principal(request("POST", address="127.0.0.1", Origin=foreign))
    with pytest.raises(NotAuthenticated):
        request_principal(request(address=OUTSIDE))


# Limits


async def test_an_expired_key_is_not_good_for_longer_than_its_date_though_it_was_just_found(
    keyring: Keyring, threads: ScriptedThreads, clock: Clock
) -> None:
    _, text = await threads.run(lambda: ApiKey.create("app", expires_at=timezone.now() + timedelta(seconds=10)))
    assert await keyring.find(text, timeout_s=30)
    assert keyring.cached(text)
    clock.advance(10)
    assert keyring.cached(text) is None
    await keyring.aclose()


async def test_a_revoked_key_is_refused_by_its_reason(lookups: Lookups, threads: ScriptedThreads) -> None:
    _, text = await threads.run(lambda: ApiKey.create("app", revoked_at=timezone.now()))
    before = failures("key")
    with pytest.raises(NotAuthenticated) as refused:
        await authenticate_socket(scope(authorization=f"Bearer {text}"), lookups=lookups)
    assert (refused.value.reason, failures("key")) == ("key_revoked", before + 1)


async def test_wrong_keys_are_not_looked_up_for_ever(lookups: Lookups, threads: ScriptedThreads) -> None:
    _, text = await threads.run(ApiKey.create, "app")
    prefix = text[:12]
    assert await authenticate_socket(scope(authorization=f"Bearer {text}"), lookups=lookups)
    for number in range(MAX_WRONG):
        with pytest.raises(NotAuthenticated):
            await authenticate_socket(scope(authorization=f"Bearer {prefix}_{number}"), lookups=lookups)
    threads.ran.clear()
    with pytest.raises(TooFast):
        await authenticate_socket(scope(authorization=f"Bearer {prefix}_x"), lookups=lookups)
    assert await authenticate_socket(scope(authorization=f"Bearer {text}"), lookups=lookups)
    assert threads.ran == []
    await lookups.keyring.aclose()


async def test_a_made_up_start_token_is_a_guess_and_an_expired_one_is_not(lookups: Lookups) -> None:
    old = expired_token("abc")
    for _try in range(2 * MAX_WRONG):
        with pytest.raises(NotAuthenticated):
            await authenticate_socket(scope(subprotocols=(f"speech.token.{old}",)), lookups=lookups)
    for _try in range(MAX_WRONG):
        with pytest.raises(NotAuthenticated):
            await authenticate_socket(scope(subprotocols=(f"speech.token.{old}x",)), lookups=lookups)
    with pytest.raises(TooFast):
        await authenticate_socket(scope(subprotocols=(f"speech.token.{old}x",)), lookups=lookups)


async def test_a_socket_token_speaks_once_from_any_origin(lookups: Lookups, threads: ScriptedThreads) -> None:
    text, _ends = await threads.run(issue_token, Principal("user", user_id=None, label="anna"))
    offered = scope(subprotocols=("speech.v1", f"speech.token.{text}"), origin="https://other.example")
    assert (await authenticate_socket(offered, lookups=lookups)).label == "anna"
    with pytest.raises(NotAuthenticated) as refused:
        await authenticate_socket(offered, lookups=lookups)
    assert refused.value.reason == "token_used"


def test_a_key_makes_no_more_requests_a_minute_than_it_may() -> None:
    _, text = ApiKey.create("app", rate_limit=2)
    _, other = ApiKey.create("other")
    for _request in range(2):
        request_principal(request(**{"X-API-Key": text}))
    with pytest.raises(TooFast) as refused:
        request_principal(request(**{"X-API-Key": text}))
    assert refused.value.reason == "rate_limit"
    assert 0 < (refused.value.retry_after_ms or 0) <= 60_000
    assert request_principal(request(**{"X-API-Key": other}))
