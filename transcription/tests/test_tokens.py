"""Single-use tokens: row 66 of the fault matrix, on the database the tests run on."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast

import pytest
from django.db import connection
from django.db.models.functions import Now

from transcription import access
from transcription.errors import NotAllowed, NotAuthenticated
from transcription.identity.principals import LOCAL, Principal
from transcription.identity.scopes import Scope
from transcription.identity.tokens import PURGED_AT_ONCE, issue_token, purge_tokens, redeem_token
from transcription.models import ApiKey, SocketToken
from transcription.tests.rows import make_session, make_user, principal_of, principal_of_key

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

RACES = 100
RACERS = 4


def age(seconds: float) -> None:
    SocketToken.objects.update(expires_at=Now() - timedelta(seconds=seconds))


def refusal(text: str) -> str:
    with pytest.raises(NotAuthenticated) as refused:
        redeem_token(text)
    return refused.value.reason


def test_a_token_stands_once_for_who_got_it() -> None:
    key, _text = ApiKey.create("app", make_user())
    text, expires_at = issue_token(principal_of_key(key), lifetime_s=30, session_id="abc")
    row = SocketToken.objects.annotate(now=Now()).get()
    assert timedelta(seconds=25) < expires_at - row.now <= timedelta(seconds=30)
    assert redeem_token(text) == Principal(
        "token",
        user_id=key.owner_id,
        key_id=key.pk,
        session_id="abc",
        label="app",
        scopes=frozenset({Scope.TRANSCRIBE}),
    )
    assert refusal(text) == "token_used"


def test_a_token_fits_into_a_subprotocol_and_is_stored_nowhere() -> None:
    text, _ = issue_token(LOCAL)
    assert re.fullmatch(r"spt_[A-Za-z0-9_-]{43}", text)
    [row] = SocketToken.objects.values()
    assert all(text not in str(value) for value in row.values())


def test_an_expired_token_is_refused_and_so_is_an_unknown_one() -> None:
    text, _ = issue_token(LOCAL)
    age(1)
    assert refusal(text) == "token_expired"
    assert refusal(text[:-1]) == "wrong_token"
    assert refusal("spt_\ud800") == "wrong_token"


def test_a_token_may_do_no_more_than_its_key() -> None:
    key, _text = ApiKey.create("app", scopes=["transcribe"])
    speaker = Principal("key", key_id=key.pk, scopes=key.scope_set)
    with pytest.raises(NotAllowed, match="sessions:read"):
        issue_token(speaker, scopes=[Scope.TRANSCRIBE, Scope.SESSIONS_READ])
    assert not SocketToken.objects.exists()


@pytest.mark.parametrize("change", ["revoked", "closed"])
def test_a_token_ends_with_its_key_or_account(change: str) -> None:
    user = make_user()
    key, _text = ApiKey.create("app", user)
    text, _ = issue_token(principal_of_key(key))
    if change == "revoked":
        ApiKey.objects.update(revoked_at=Now())
    else:
        user.is_active = False
        user.save()
    assert refusal(text) == {"revoked": "key_revoked", "closed": "account_closed"}[change]


def test_a_token_for_no_session_in_particular_reaches_what_its_holder_reaches() -> None:
    user, other = make_user(), make_user()
    key, _text = ApiKey.create("app", user)
    own = {make_session(owner=user).public_id, make_session(api_key=key, owner=user).public_id}
    make_session(owner=other)
    for who in (principal_of(user), principal_of_key(key)):
        text, _ = issue_token(who, scopes=[Scope.SESSIONS_READ])
        assert {row.public_id for row in access.visible_sessions(redeem_token(text))} == own
    nobodys = make_session(owner=None, api_key=None)
    text, _ = issue_token(LOCAL)
    assert [row.pk for row in access.visible_sessions(redeem_token(text))] == [nobodys.pk]


def test_tokens_that_are_long_over_are_deleted_in_pieces() -> None:
    SocketToken.objects.bulk_create(
        SocketToken(digest=str(number), expires_at=Now() - timedelta(hours=1)) for number in range(PURGED_AT_ONCE + 1)
    )
    text, _ = issue_token(LOCAL)
    assert purge_tokens() == PURGED_AT_ONCE + 1
    assert redeem_token(text) == Principal("token", label="local", scopes=frozenset({Scope.TRANSCRIBE}))


@pytest.mark.django_db(transaction=True)
def test_row_66_a_token_that_several_redeem_at_once_has_one_winner() -> None:
    if connection.vendor == "postgresql":
        # Threads of tests before may not have given theirs back yet, and there is one for each racer and no more.
        connection.close()
        cast(Any, connection).close_pool()
    texts = [issue_token(LOCAL)[0] for _ in range(RACES)]
    together = threading.Barrier(RACERS, timeout=60)

    def race() -> list[str]:
        try:
            return [redeem_together(text) for text in texts]
        finally:
            connection.close()

    def redeem_together(text: str) -> str:
        together.wait()
        try:
            redeem_token(text)
        except NotAuthenticated as error:
            return error.reason
        return "won"

    with ThreadPoolExecutor(RACERS) as racers:
        results = [future.result() for future in [racers.submit(race) for _ in range(RACERS)]]
    one_winner = ["token_used"] * (RACERS - 1) + ["won"]
    assert [sorted(of_a_token) for of_a_token in zip(*results, strict=True)] == [one_winner] * RACES
