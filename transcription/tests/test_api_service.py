"""What the recogniser can do and what was used, over the HTTP API."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from transcription.errors import AtCapacity
from transcription.fake_riva.server import ScriptedRiva
from transcription.models import ApiKey, UsageDay
from transcription.rest.recognisers import describe_models
from transcription.riva.client import RivaRecogniser
from transcription.riva.target import RivaTarget
from transcription.tests.rows import make_user

TODAY = timezone.now().astimezone(UTC).date()


async def test_the_models_are_those_that_the_recogniser_names() -> None:
    parameters = {"language_code": "en-US, de-DE", "type": "online", "sample_rate": "16000"}
    offline = {"language_code": "en-US", "type": "offline"}
    async with ScriptedRiva(models={"small": parameters, "files": offline}) as riva:
        recogniser = RivaRecogniser([RivaTarget(riva.address)])
        answer = await describe_models(recogniser)
        again = await describe_models(recogniser)
        await recogniser.aclose()
    assert answer == again
    small, files = sorted(answer.models, key=lambda model: model.name, reverse=True)
    assert (small.name, small.languages, small.streaming) == ("small", ["en-US", "de-DE"], True)
    assert small.parameters == parameters
    assert files.streaming is False
    assert len(riva.questions) <= 1


async def test_a_recogniser_that_names_no_models_is_there_all_the_same() -> None:
    async with ScriptedRiva() as riva:
        recogniser = RivaRecogniser([RivaTarget(riva.address)])
        assert (await describe_models(recogniser)).models == []
        await recogniser.aclose()


async def test_a_recogniser_that_does_not_answer_is_told_with_the_time_to_ask_again() -> None:
    recogniser = RivaRecogniser([RivaTarget("127.0.0.1:1")])
    with pytest.raises(AtCapacity) as caught:
        await describe_models(recogniser, timeout_s=0.5)
    assert (caught.value.http_status, caught.value.reason) == (503, "recogniser_unavailable")
    assert caught.value.retry_after_ms
    await recogniser.aclose()


def used(client: Client, **query: Any) -> dict[str, Any]:
    response = client.get("/api/v1/usage", query)
    assert response.status_code == 200, response.content
    body: dict[str, Any] = response.json()
    return body


@pytest.mark.django_db
@pytest.mark.databases
def test_usage_is_told_by_day_and_key_to_whom_it_belongs() -> None:
    anna = make_user()
    phone, text = ApiKey.create("phone", owner=anna)
    other, _text = ApiKey.create("other", owner=anna)
    yesterday = TODAY - timedelta(days=1)
    UsageDay.objects.create(day=yesterday, api_key=phone, sessions=2, audio_ms=5000)
    UsageDay.objects.create(day=TODAY, api_key=other, sessions=1, audio_ms=700)
    UsageDay.objects.create(day=TODAY, owner=anna, sessions=1, audio_ms=300)
    UsageDay.objects.create(day=TODAY, owner=make_user(), sessions=9, audio_ms=9)
    UsageDay.objects.create(day=TODAY - timedelta(days=40), owner=anna, sessions=1, audio_ms=1)
    client = Client()
    client.force_login(anna)
    body = used(client)
    assert (body["sessions"], body["audio_ms"]) == (4, 6000)
    assert next((item["day"], item["api_key"], item["owner"], item["audio_ms"]) for item in body["days"]) == (
        yesterday.isoformat(),
        "phone",
        None,
        5000,
    )
    assert {(item["api_key"], item["owner"]) for item in body["days"][1:]} == {("other", None), (None, anna.username)}
    assert used(client, since=TODAY.isoformat())["audio_ms"] == 1000
    assert used(client, until=TODAY.isoformat())["audio_ms"] == 5000
    by_key = used(Client(headers={"Authorization": f"Bearer {text}"}))
    assert (by_key["sessions"], by_key["audio_ms"]) == (2, 5000)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"since": "2026-01-02", "until": "2026-01-02"}, "since"),
        ({"since": "2024-01-01", "until": "2026-01-01"}, "since"),
        ({"since": "yesterday"}, "since"),
        ({"until": "0001-01-01"}, "until"),
        ({"since": str(date.max)}, "since"),
    ],
)
def test_days_that_make_no_period_are_refused(query: dict[str, str], field: str) -> None:
    response = Client(headers={"Host": "localhost:8000"}).get("/api/v1/usage", query)
    assert (response.status_code, response.json()["field"]) == (422, field)
