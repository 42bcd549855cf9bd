"""Requests of the HTTP API that come twice with the same Idempotency-Key."""

from __future__ import annotations

import json
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.utils import timezone
from ninja import Schema

from transcription.errors import TooFast
from transcription.identity.auth import read_start_token
from transcription.identity.principals import LOCAL, Principal
from transcription.models import ApiKey, IdempotentRequest, TranscriptionSession
from transcription.rest.idempotency import (
    ABANDONED_AFTER,
    KEPT_FOR,
    MAX_FORGOTTEN_AT_ONCE,
    Answer,
    AnsweredAlready,
    Claim,
    RequestInProgress,
    claim,
    forget_old,
    give_up,
    keep,
)
from transcription.rest.idempotency_key import REPLAYED_HEADER, idempotent

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

ADDRESS = "/api/v1/start-transcription"


@pytest.fixture
def local() -> Client:
    return Client(headers={"Host": "localhost:8000"})


def post(client: Client, body: Any, key: str = "first") -> Any:
    return client.post(ADDRESS, json.dumps(body), content_type="application/json", headers={"Idempotency-Key": key})


def start(principal: Principal = LOCAL, key: str = "k", fingerprint: str = "a") -> Claim:
    claimed = claim(principal, key, fingerprint, wait_s=0)
    assert isinstance(claimed, Claim)
    return claimed


def test_the_same_request_makes_one_session_and_gets_a_new_token_for_it(local: Client) -> None:
    first = post(local, {"title": "once", "language": "de-DE"})
    again = local.post(
        ADDRESS,
        '{"language": "de-DE",  "title": "once"}',
        content_type="application/json",
        headers={"Idempotency-Key": "first"},
    )
    assert (first.status_code, again.status_code) == (200, 200)
    assert REPLAYED_HEADER not in first
    assert again[REPLAYED_HEADER] == "true"
    assert again["Content-Type"] == first["Content-Type"]
    assert set(again.json()) == set(first.json())
    assert again.json()["session_id"] == first.json()["session_id"] == TranscriptionSession.objects.get().public_id
    assert read_start_token(again.json()["token"]).session_id == first.json()["session_id"]


def test_no_secret_is_kept(local: Client) -> None:
    token = post(local, {}).json()["token"]
    assert token not in IdempotentRequest.objects.get().answer


def test_another_request_with_the_same_key_is_refused(local: Client) -> None:
    post(local, {"title": "one"})
    response = post(local, {"title": "two"})
    assert response.status_code == 409
    assert (response.json()["reason"], response.json()["field"]) == ("idempotency_key_reused", "Idempotency-Key")
    assert TranscriptionSession.objects.count() == 1


def test_without_a_key_or_with_others_everything_is_done_each_time(local: Client) -> None:
    local.post(ADDRESS, "{}", content_type="application/json")
    post(local, {}, "one")
    post(local, {}, "two")
    assert TranscriptionSession.objects.count() == 3


def test_keys_of_others_have_nothing_to_do_with_it(local: Client) -> None:
    _key, text = ApiKey.create("app")
    post(local, {})
    theirs = post(Client(headers={"Authorization": f"Bearer {text}"}), {"title": "theirs"})
    assert theirs.status_code == 200
    assert TranscriptionSession.objects.count() == 2


@pytest.mark.parametrize("key", ["", " ", "x" * 201, "schlüssel", "a\tb"])
def test_what_is_no_key_is_refused(local: Client, key: str) -> None:
    response = post(local, {}, key or "\t")
    assert response.status_code == 422
    assert response.json()["field"] == "Idempotency-Key"
    assert not TranscriptionSession.objects.exists()


def test_a_request_that_failed_is_tried_again(local: Client) -> None:
    TranscriptionSession.objects.create(public_id="taken", language="en-US")
    assert post(local, {"session_id": "taken"}).status_code == 409
    TranscriptionSession.objects.all().delete()
    assert post(local, {"session_id": "taken"}).status_code == 200


def test_the_work_is_undone_where_its_answer_could_not_be_kept() -> None:
    claimed = start()
    IdempotentRequest.objects.update(started_at=timezone.now() - ABANDONED_AFTER * 2)
    assert isinstance(claim(LOCAL, "k", "a", wait_s=0), Claim), "whoever was silent for so long is dead"
    with pytest.raises(RequestInProgress):
        keep(claimed, Answer(200, "{}"))
    give_up(claimed)
    assert IdempotentRequest.objects.exists(), "the other one still works at it"


def test_one_who_comes_too_early_is_told_to_ask_again() -> None:
    start()
    with pytest.raises(RequestInProgress) as caught:
        claim(LOCAL, "k", "a", wait_s=0)
    assert caught.value.retryable
    assert caught.value.retry_after_ms


@pytest.mark.django_db(transaction=True)
def test_of_two_at_the_same_time_one_works_and_the_other_gets_its_answer() -> None:
    claimed, got = start(), []

    def ask() -> None:
        try:
            got.append(claim(LOCAL, "k", "a"))
        finally:
            connection.close()

    other = threading.Thread(target=ask)
    other.start()
    keep(claimed, Answer(200, '{"a": 1}'))
    other.join(20)
    assert got == [Answer(200, '{"a": 1}')]


@pytest.mark.django_db(transaction=True)
def test_of_many_at_the_same_time_exactly_one_session_comes() -> None:
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(post(Client(headers={"Host": "localhost:8000"}), {"title": "race"}).json())
        finally:
            connection.close()

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {answer["session_id"] for answer in answers} == {TranscriptionSession.objects.get().public_id}
    assert len(answers) == 6


def test_after_a_day_a_key_is_as_new_and_old_ones_go_a_few_at_a_time(local: Client) -> None:
    post(local, {"title": "one"})
    IdempotentRequest.objects.update(started_at=timezone.now() - KEPT_FOR - timedelta(minutes=1))
    assert post(local, {"title": "two"}).status_code == 200
    long_ago = timezone.now() - timedelta(days=3)
    IdempotentRequest.objects.bulk_create(
        IdempotentRequest(principal="key:1", key=str(number), started_at=long_ago)
        for number in range(MAX_FORGOTTEN_AT_ONCE + 1)
    )
    forget_old()
    assert IdempotentRequest.objects.count() == 2
    forget_old()
    assert IdempotentRequest.objects.count() == 1


class Made(Schema):
    number: int
    secret: str = ""


def request_of(key: str = "k") -> HttpRequest:
    request = RequestFactory().post("/x", headers={"Idempotency-Key": key})
    request.auth = LOCAL  # type: ignore[attr-defined]
    return request


def test_an_answer_with_a_secret_is_refused_the_second_time_unless_it_can_be_made_anew() -> None:
    @idempotent(secrets=("secret",))
    def operation(request: HttpRequest) -> Made:
        return Made(number=1, secret="s")

    assert operation(request_of()).secret == "s"
    with pytest.raises(AnsweredAlready):
        operation(request_of())


def test_an_answer_without_secrets_is_the_same_again() -> None:
    calls: list[int] = []

    @idempotent()
    def operation(request: HttpRequest) -> Made:
        calls.append(1)
        return Made(number=len(calls))

    assert operation(request_of()).number == 1
    assert json.loads(operation(request_of()).content) == {"number": 1, "secret": ""}
    assert len(calls) == 1


def test_files_count_by_what_is_in_them_and_are_left_as_they_were() -> None:
    @idempotent(in_transaction=False)
    def operation(request: HttpRequest, file: Any) -> Made:
        return Made(number=len(file.read()))

    assert operation(request_of(), file=SimpleUploadedFile("a.wav", b"abc")).number == 3
    again = operation(request_of(), file=SimpleUploadedFile("a.wav", b"abc"))
    assert json.loads(again.content)["number"] == 3
    with pytest.raises(Exception, match="came with another request"):
        operation(request_of(), file=SimpleUploadedFile("a.wav", b"abd"))


def test_what_an_operation_raises_goes_through() -> None:
    @idempotent()
    def operation(request: HttpRequest) -> Made:
        raise TooFast("slowly")

    with pytest.raises(TooFast):
        operation(request_of())
    assert not IdempotentRequest.objects.exists()
