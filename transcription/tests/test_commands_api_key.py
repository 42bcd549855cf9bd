"""The commands that make keys and the first account."""

from __future__ import annotations

import io
import re

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from transcription.models import ApiKey
from transcription.tests.rows import make_user

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
    secret = printed("create_api_key", "x", "--quiet").strip().rsplit("_", 1)[1]
    row = ApiKey.objects.values().get()
    assert all(secret not in str(value) for value in row.values())


def test_the_first_operator_gets_a_password_that_is_printed_once_and_works() -> None:
    text = printed("ensure_operator")
    password = text.split("password")[1].strip()
    user = authenticate(username="operator", password=password)
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
