"""The commands that make keys and the first account."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.http import HttpRequest
from django.utils import timezone

from transcription.models import ApiKey
from transcription.tests.rows import make_user

HOUR = timedelta(hours=1)

pytestmark = [pytest.mark.django_db, pytest.mark.databases]


def printed(*arguments: str) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


def test_a_quiet_key_is_printed_alone_and_works() -> None:
    text = printed("create_api_key", "billing", "--quiet")
    assert re.fullmatch(r"spk_[0-9a-f]{8}_[A-Za-z0-9_-]{43}\n", text)
    key = ApiKey.find(text.strip())
    assert key is not None
    assert (key.name, key.owner) == ("billing", None)


def test_otherwise_a_sentence_says_that_it_is_shown_once() -> None:
    text = printed("create_api_key", "billing")
    assert "not shown again" in text
    found = re.search(r"spk_\S+", text)
    assert found is not None
    assert ApiKey.find(found.group()) is not None


def test_a_key_can_be_given_an_owner() -> None:
    user = make_user()
    text = printed("create_api_key", "theirs", "--owner", user.username, "--quiet")
    key = ApiKey.find(text.strip())
    assert key is not None
    assert key.owner == user


def test_an_unknown_owner_is_refused_and_no_key_is_made() -> None:
    with pytest.raises(CommandError, match="nobody-here"):
        printed("create_api_key", "x", "--owner", "nobody-here")
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize("name", ["", "   ", "x" * 101])
def test_a_name_must_be_there_and_fit(name: str) -> None:
    with pytest.raises(CommandError, match="characters"):
        printed("create_api_key", name)


def test_the_secret_itself_is_not_stored() -> None:
    secret = printed("create_api_key", "x", "--quiet").strip().split("_", 2)[2]
    row = ApiKey.objects.values().get()
    assert all(secret not in str(value) for value in row.values())


def create(*arguments: str) -> ApiKey:
    key = ApiKey.find(printed("create_api_key", "app", "--quiet", *arguments).strip())
    assert key is not None
    return key


def test_a_key_has_the_usual_scopes_and_no_limits_unless_told_otherwise() -> None:
    key = create()
    assert key.scopes == ["sessions:read", "sessions:write", "transcribe"]
    assert (key.expires_at, key.max_sessions, key.rate_limit, key.monthly_minutes) == (None, 0, 0, 0)


def test_scopes_and_limits_can_be_chosen() -> None:
    limits = ["--max-sessions", "3", "--rate-limit", "60", "--monthly-minutes", "1000"]
    key = create("--scope", "transcribe", "--scope", "metrics", "--scope", "metrics", *limits)
    assert key.scopes == ["metrics", "transcribe"]
    assert (key.max_sessions, key.rate_limit, key.monthly_minutes) == (3, 60, 1000)


@pytest.mark.parametrize(("text", "length"), [("90d", timedelta(days=90)), ("2w", timedelta(weeks=2)), ("1h", HOUR)])
def test_a_key_can_expire_after_some_time(text: str, length: timedelta) -> None:
    expires_at = create("--expires", text).expires_at
    assert expires_at is not None
    assert abs(expires_at - timezone.now() - length) < HOUR / 2


def test_a_key_can_expire_on_a_day_or_at_a_moment() -> None:
    assert create("--expires", "2999-01-31").expires_at == datetime(2999, 1, 31, tzinfo=UTC)
    assert create("--expires", "2999-01-31T12:00+02:00").expires_at == datetime(2999, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--expires", "2001-01-31"], "over already"),
        (["--expires", "2999-02-31"], "neither"),
        (["--expires", "soon"], "neither"),
        (["--expires", "0d"], "neither"),
        (["--scope", "everything"], "is none of transcribe, sessions:read"),
        (["--rate-limit", "-1"], "no whole number"),
        (["--max-sessions", "9999999999"], "no whole number"),
    ],
)
def test_a_wrong_option_is_refused_and_no_key_is_made(arguments: list[str], problem: str) -> None:
    with pytest.raises(CommandError, match=problem):
        printed("create_api_key", "x", *arguments)
    assert not ApiKey.objects.exists()


def test_keys_are_listed_with_whether_they_are_good_and_never_with_their_secret() -> None:
    secrets = [ApiKey.create(f"key {number}", make_user())[1].split("_", 2)[2] for number in range(3)]
    ApiKey.objects.filter(name="key 1").update(revoked_at=timezone.now())
    ApiKey.objects.filter(name="key 2").update(expires_at=timezone.now() - HOUR, rate_limit=7)
    listed = json.loads(printed("list_api_keys", "--json"))
    assert [(key["name"], key["state"]) for key in listed] == [
        ("key 0", "active"),
        ("key 1", "key_revoked"),
        ("key 2", "key_expired"),
    ]
    table = printed("list_api_keys")
    assert [line.split()[1] for line in table.splitlines()] == ["state", "active", "key_revoked", "key_expired"]
    assert "7 a minute" in table
    digests = list(ApiKey.objects.values_list("digest", flat=True))
    assert not any(word in table + json.dumps(listed) for word in secrets + digests)


@pytest.mark.parametrize("by", ["prefix", "long prefix", "name", "text"])
def test_a_key_is_revoked_by_its_prefix_or_name(by: str) -> None:
    key, text = ApiKey.create("mine")
    other, _text = ApiKey.create("other")
    named = {"prefix": key.prefix, "long prefix": f"spk_{key.prefix}", "name": "mine", "text": text}[by]
    answer = printed("revoke_api_key", named)
    assert "is revoked" in answer
    assert text not in answer
    assert "before" in printed("revoke_api_key", named)
    assert list(ApiKey.objects.filter(revoked_at=None)) == [other]


def test_a_name_that_several_keys_have_revokes_none_of_them() -> None:
    first, _text = ApiKey.create("same")
    second, _text = ApiKey.create("same")
    with pytest.raises(CommandError, match="2 keys") as refused:
        printed("revoke_api_key", "same")
    assert f"spk_{first.prefix}" in str(refused.value)
    printed("revoke_api_key", first.prefix)
    printed("revoke_api_key", "same")
    assert not ApiKey.objects.filter(revoked_at=None).exists()
    assert second.pk


def test_an_unknown_key_cannot_be_revoked_and_is_not_repeated() -> None:
    with pytest.raises(CommandError) as refused:
        printed("revoke_api_key", "spk_00000000_secretsecret")
    assert "secret" not in str(refused.value)


def test_the_first_operator_gets_a_password_that_is_printed_once_and_works() -> None:
    text = printed("ensure_operator")
    password = text.split("password")[1].strip()
    user = authenticate(HttpRequest(), username="operator", password=password)
    assert user is not None
    assert User.objects.get(username="operator").is_superuser
    assert printed("ensure_operator") == ""


def test_where_there_is_a_superuser_nothing_happens() -> None:
    make_user(is_superuser=True)
    assert printed("ensure_operator") == ""
    assert not User.objects.filter(username="operator").exists()


def test_an_ordinary_user_of_that_name_is_not_made_a_superuser() -> None:
    User.objects.create_user("operator", password="theirs")
    assert "operator2" in printed("ensure_operator")
    assert not User.objects.get(username="operator").is_superuser
