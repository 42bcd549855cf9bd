"""Trying passwords: row 67 of the fault matrix, on the login page and the admin's."""

from __future__ import annotations

from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import get_user_model
from django.test import AsyncClient, Client
from prometheus_client import REGISTRY

from speechsite.lockout import FAILURES

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

HERE, ELSEWHERE = "203.0.113.9", "198.51.100.7"
PAGES = ["/login/", "/admin/login/"]


def make_user(name: str = "anna") -> Any:
    return get_user_model().objects.create_user(name, password="correct horse", is_staff=True)


def log_in(page: str, password: str, *, address: str = HERE, name: str = "anna", **headers: str) -> Any:
    client = Client(REMOTE_ADDR=address, headers=headers)
    return client.post(page, {"username": name, "password": password})


def failures() -> float:
    return REGISTRY.get_sample_value("speech_auth_failures_total", {"kind": "password"}) or 0


def fail(page: str, **how: Any) -> list[int]:
    return [log_in(page, "wrong", **how).status_code for _ in range(FAILURES)]


@pytest.mark.parametrize("page", PAGES)
def test_row_67_after_five_wrong_passwords_the_right_one_is_refused_from_there_and_works_from_elsewhere(
    page: str,
) -> None:
    make_user()
    before = failures()
    assert fail(page) == [200] * (FAILURES - 1) + [429]
    assert failures() == before + FAILURES
    sixth = log_in(page, "correct horse")
    assert sixth.status_code == 429
    assert sixth["Retry-After"] == "900"
    assert "Too many tries" in sixth.content.decode()
    assert log_in(page, "correct horse", address=ELSEWHERE).status_code == 302


def test_another_user_of_the_same_address_gets_in() -> None:
    make_user()
    make_user("zoe")
    fail("/login/")
    assert log_in("/login/", "correct horse", name="zoe").status_code == 302


def test_row_74_a_forged_forwarded_address_does_not_help_who_guesses() -> None:
    make_user()
    for number in range(FAILURES):
        log_in("/login/", "wrong", **{"X-Forwarded-For": f"192.0.2.{number}", "X-Real-IP": f"192.0.2.{number}"})
    assert log_in("/login/", "correct horse", **{"X-Forwarded-For": "192.0.2.99"}).status_code == 429


def test_all_addresses_of_a_network_of_ipv6_count_as_one() -> None:
    make_user()
    for number in range(FAILURES):
        log_in("/login/", "wrong", address=f"2001:db8:1:2::{number + 1}")
    assert log_in("/login/", "correct horse", address="2001:db8:1:2:aaaa::1").status_code == 429
    assert log_in("/login/", "correct horse", address="2001:db8:1:3::1").status_code == 302


def test_a_right_password_forgets_the_wrong_ones_before_it() -> None:
    make_user()
    for _round in range(2):
        for _try in range(FAILURES - 1):
            log_in("/login/", "wrong")
        assert log_in("/login/", "correct horse").status_code == 302


def test_tries_while_locked_out_are_neither_counted_nor_kept() -> None:
    make_user()
    fail("/login/")
    [before] = AccessAttempt.objects.values()
    fail("/login/")
    assert list(AccessAttempt.objects.values()) == [before]
    assert "wrong" not in str(before)


@pytest.mark.parametrize("name", ["nobody here", "x" * 5000, "a\0b", ""])
def test_any_user_name_may_be_tried(name: str) -> None:
    assert log_in("/login/", "wrong", name=name).status_code == 200


def test_a_client_without_an_address_is_counted_too() -> None:
    make_user()
    assert fail("/login/", address="")[-1] == 429


@pytest.mark.django_db(transaction=True)
async def test_it_is_the_same_under_asgi(django_user_model: Any) -> None:
    await django_user_model.objects.acreate_user("anna", password="correct horse")
    client = AsyncClient()
    statuses = [
        (await client.post("/login/", {"username": "anna", "password": "wrong"})).status_code for _ in range(FAILURES)
    ]
    assert statuses == [200] * (FAILURES - 1) + [429]
    locked_out = await client.post("/login/", {"username": "anna", "password": "correct horse"})
    assert (locked_out.status_code, locked_out["Retry-After"]) == (429, "900")
