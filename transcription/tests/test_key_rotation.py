"""Another text for a key: what is made with it stays with it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.test import Client

from transcription import services
from transcription.audit.models import AuditEvent
from transcription.errors import SessionTaken
from transcription.models import ApiKey, UsageDay
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

KEYS = "/admin/transcription/apikey/"
DAY = timedelta(days=1)


@pytest.fixture
def boss() -> Client:
    client = Client()
    client.force_login(make_user(is_staff=True, is_superuser=True))
    return client


def rotate(client: Client, *keys: ApiKey, **more: str) -> Any:
    return client.post(KEYS, {"action": "rotate_key", "_selected_action": [key.pk for key in keys], **more})


def test_both_texts_are_good_until_the_old_one_ends() -> None:
    key, old = ApiKey.create("app")
    new = services.replace_key(key, DAY)
    assert [ApiKey.find(text) for text in (old, new)] == [key, key]
    ApiKey.objects.update(previous_until=Now() - DAY)
    assert ApiKey.find(old) is None
    assert ApiKey.find(new) == key


def test_the_old_text_can_end_at_once() -> None:
    key, old = ApiKey.create("app")
    new = services.replace_key(key, timedelta(0))
    assert ApiKey.find(old) is None
    assert ApiKey.find(new) == key


def test_of_several_replacements_the_last_two_texts_are_known() -> None:
    key, first = ApiKey.create("app")
    second = services.replace_key(key, DAY)
    third = services.replace_key(key, DAY)
    assert [ApiKey.find(text) is not None for text in (first, second, third)] == [False, True, True]


def test_a_right_prefix_with_a_wrong_secret_is_no_key() -> None:
    key, old = ApiKey.create("app")
    new = services.replace_key(key, DAY)
    for text in (old, new):
        assert ApiKey.find(text[:-1] + ("A" if text[-1] != "A" else "B")) is None


def test_a_revoked_key_gets_no_other_text_and_revoking_ends_both() -> None:
    key, old = ApiKey.create("app")
    services.replace_key(key, DAY)
    services.revoke_key(key)
    found = ApiKey.find(old)
    assert found is not None
    assert found.revoked_at is not None
    with pytest.raises(SessionTaken):
        services.replace_key(key, DAY)


def test_a_key_is_rotated_after_a_question_and_shown_once(boss: Client) -> None:
    key, old = ApiKey.create("billing", monthly_minutes=60)
    session = make_session("one", api_key=key)
    assert "Rotate the key billing" in rotate(boss, key).content.decode()
    assert ApiKey.find(old) == key
    answer = rotate(boss, key, confirmed="yes", overlap_h="24")
    assert "no-store" in answer["Cache-Control"]
    html = answer.content.decode()
    found = re.search(r'id="key-text"[^>]*>(spk_[^<]+)<', html)
    assert found is not None
    again = ApiKey.find(found.group(1))
    assert again is not None
    assert (again.pk, again.monthly_minutes) == (key.pk, 60)
    assert session.api_key_id == again.pk
    assert ApiKey.find(old) == key
    assert found.group(1) not in page(boss, f"{KEYS}{key.pk}/change/")
    event = AuditEvent.objects.get(what="edited", object_type="apikey")
    assert event.details["overlap_h"] == 24
    assert found.group(1) not in str(event.details)


def page(client: Client, address: str, **query: str) -> str:
    response = client.get(address, query)
    assert response.status_code == 200, response.status_code
    return response.content.decode()


def test_one_good_key_is_rotated_at_a_time(boss: Client) -> None:
    first, second = ApiKey.create("one")[0], ApiKey.create("two")[0]
    assert "Select one key" in page(boss, rotate(boss, first, second)["Location"])
    services.revoke_key(first)
    assert "was revoked" in page(boss, rotate(boss, first, confirmed="yes", overlap_h="0")["Location"])


def test_keys_are_filtered_by_what_they_may_be_used_for(boss: Client) -> None:
    ApiKey.create("reader", scopes=["sessions:read"])
    ApiKey.create("scraper", scopes=["metrics"])
    html = page(boss, KEYS, scope="metrics")
    assert "scraper" in html
    assert ">reader<" not in html
    assert ">reader<" in page(boss, KEYS, scope="sessions:read")


def test_a_key_that_was_used_can_be_deleted_and_its_count_is_told(boss: Client) -> None:
    key, _text = ApiKey.create("app")
    session = make_session("one", api_key=key)
    for day in range(1, 4):
        UsageDay.objects.create(day=f"2026-02-{day:02}", api_key=key, sessions=1, audio_ms=1000)
    html = page(boss, f"{KEYS}{key.pk}/delete/")
    assert "usage by day: 3" in html.lower()
    boss.post(f"{KEYS}{key.pk}/delete/", {"post": "yes"})
    assert not ApiKey.objects.exists()
    session.refresh_from_db()
    assert session.api_key is None
