"""From ends and segments in the database to deliveries: nothing is missed, nothing told twice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from transcription import services
from transcription.models import ApiKey, TranscriptionSession
from transcription.tests.rows import add_segments, make_session, make_user
from transcription.tests.webhook_rows import make_endpoint
from transcription.webhooks.announcing import Announcer
from transcription.webhooks.models import SessionEnd, WebhookDelivery, WebhookEndpoint
from transcription.webhooks.outbox import note_end
from transcription.webhooks.payloads import MAX_SEGMENTS

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

State = TranscriptionSession.State
Reach = WebhookEndpoint.Reach


def live(*texts: str, **fields: Any) -> TranscriptionSession:
    return make_session(*texts, **{"state": State.LIVE, "next_seq": len(texts), **fields})


def say(session: TranscriptionSession, *texts: str) -> None:
    add_segments(session, *texts)
    session.next_seq += len(texts)
    session.save(update_fields=["next_seq"])


def end(session: TranscriptionSession, state: str = State.COMPLETED) -> None:
    session.state = state
    with transaction.atomic():
        session.save(update_fields=["state"])
        note_end(session)


def told(endpoint: WebhookEndpoint | None = None) -> list[dict[str, Any]]:
    """The events of all deliveries, in the order they were made."""
    found = WebhookDelivery.objects.order_by("pk")
    if endpoint is not None:
        found = found.filter(endpoint=endpoint)
    return [json.loads(body) for body in found.values_list("body", flat=True)]


def types(endpoint: WebhookEndpoint | None = None) -> list[str]:
    return [event["type"] for event in told(endpoint)]


def texts(endpoint: WebhookEndpoint | None = None) -> list[list[str]]:
    """The texts of each delivery of segments."""
    events = [event for event in told(endpoint) if event["type"] == "segment.final"]
    return [[segment["text"] for segment in event["data"]["segments"]] for event in events]


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (State.COMPLETED, "session.completed"),
        (State.INTERRUPTED, "session.failed"),
        (State.FAILED, "session.failed"),
    ],
)
def test_an_end_is_told_with_the_facts_of_the_session(state: str, event: str) -> None:
    make_endpoint(events=["session.completed", "session.failed"])
    session = live("hello", title="Notes", metadata={"call": "42"})
    end(session, state)
    Announcer().announce()
    (only,) = told()
    assert only["type"] == event
    assert only["timestamp"].endswith("Z")
    assert only["data"]["session_id"] == session.public_id
    assert (only["data"]["state"], only["data"]["title"], only["data"]["metadata"]) == (state, "Notes", {"call": "42"})
    assert not SessionEnd.objects.exists()


def test_segments_that_came_together_are_told_together_and_each_once() -> None:
    make_endpoint()
    announcer = Announcer()
    session = live("one", "two", language="de-DE")
    announcer.announce()
    assert texts() == [["one", "two"]]
    data = told()[0]["data"]
    assert (data["session_id"], data["language"]) == (session.public_id, "de-DE")
    assert data["segments"][1] | {"text": "two"} == {
        "segment": 1, "start_ms": 2000, "end_ms": 4000, "text": "two", "confidence": None, "speaker": None,
        "channel": None, "language": None, "tail": False,
    }  # fmt: skip
    announcer.announce()
    say(session, "three")
    announcer.announce()
    assert texts() == [["one", "two"], ["three"]]


def test_another_process_goes_on_where_the_last_one_was() -> None:
    make_endpoint()
    session = live("one")
    Announcer().announce()
    say(session, "two")
    Announcer().announce()
    Announcer().announce()
    assert texts() == [["one"], ["two"]]


def test_two_processes_that_look_at_once_tell_a_segment_once() -> None:
    make_endpoint()
    live("one", "two")
    Announcer().announce()
    delivery = WebhookDelivery.objects.get()
    # As the slower of the two would store it.
    delivery.pk, delivery.event_id, delivery.next_segment = None, "msg_other", 1
    WebhookDelivery.objects.bulk_create([delivery], ignore_conflicts=True)
    assert texts() == [["one", "two"]]


def test_what_came_after_the_last_look_is_told_with_the_end_and_before_it() -> None:
    make_endpoint()
    session = live("one")
    Announcer().announce()
    say(session, "two", "three")
    end(session)
    Announcer().announce()
    assert types() == ["segment.final", "segment.final", "session.completed"]
    assert texts() == [["one"], ["two", "three"]]


def test_words_of_a_broken_connection_are_told_only_once_they_stand() -> None:
    """Tails lie beyond next_seq; a client that comes back withdraws them."""
    make_endpoint()
    announcer = Announcer()
    session = live("one", state=State.DETACHED)
    add_segments(session, "cut off")
    session.segments.filter(index=1).update(tail=True)
    announcer.announce()
    assert texts() == [["one"]]
    end(session, State.INTERRUPTED)
    announcer.announce()
    assert texts() == [["one"], ["cut off"]]
    assert told()[1]["data"]["segments"][0]["tail"] is True


def test_a_long_transcript_goes_in_pieces_of_a_bounded_size() -> None:
    make_endpoint(events=["segment.final"])
    live(*(f"text {number}" for number in range(MAX_SEGMENTS + 5)))
    live("x" * 100_000, "y" * 100_000, "z" * 200_000)
    Announcer().announce()
    assert [len(batch) for batch in texts()] == [MAX_SEGMENTS, 5, 1, 1, 1]
    firsts = WebhookDelivery.objects.order_by("pk").values_list("first_segment", "next_segment")
    assert list(firsts) == [(0, 100), (100, 105), (0, 1), (1, 2), (2, 3)]


def test_an_endpoint_hears_only_what_it_subscribed_to() -> None:
    ends, failures, segments = (
        make_endpoint(events=[event]) for event in ("session.completed", "session.failed", "segment.final")
    )
    end(live("hello"))
    Announcer().announce()
    assert (types(ends), types(failures), types(segments)) == (["session.completed"], [], ["segment.final"])


def test_an_endpoint_hears_only_of_the_sessions_of_who_made_it() -> None:
    anna, ben = make_user(), make_user()
    annas_key, nobodys_key = ApiKey.create("app", anna)[0], ApiKey.create("app")[0]
    endpoints = {
        "anna": make_endpoint(owner=anna),
        "annas key": make_endpoint(owner=anna, api_key=annas_key),
        "ben": make_endpoint(owner=ben),
        "key": make_endpoint(api_key=nobodys_key),
        "local": make_endpoint(),
    }
    for fields in ({"owner": anna}, {"owner": anna, "api_key": annas_key}, {"api_key": nobodys_key}, {}):
        end(live("hello", **fields))
    Announcer().announce()
    heard = {name: types(endpoint).count("session.completed") for name, endpoint in endpoints.items()}
    assert heard == {"anna": 2, "annas key": 2, "ben": 0, "key": 1, "local": 1}
    heard = {name: types(endpoint).count("segment.final") for name, endpoint in endpoints.items()}
    assert heard == {"anna": 2, "annas key": 2, "ben": 0, "key": 1, "local": 1}


def test_live_sessions_of_others_are_not_even_looked_at() -> None:
    anna, ben = make_user(), make_user()
    make_endpoint(owner=anna)
    live("secret", owner=ben)
    announcer = Announcer()
    assert not announcer.has_news()
    announcer.announce()
    assert told() == []


def test_all_sessions_are_heard_of_as_long_as_the_owner_may_read_them_all() -> None:
    operator, stranger = make_user("view_captions"), make_user()
    make_endpoint(owner=operator, reach=Reach.ALL, events=["session.completed"])
    make_endpoint(owner=stranger, reach=Reach.ALL, events=["session.completed"])
    end(live("hello"))
    Announcer().announce()
    assert types() == ["session.completed"]
    operator.user_permissions.clear()
    end(live("hello"))
    Announcer().announce()
    assert types() == ["session.completed"]


@pytest.mark.parametrize("lost", ["account", "revoked", "expired", "disabled"])
def test_an_endpoint_whose_maker_may_not_go_on_hears_nothing(lost: str) -> None:
    user = make_user()
    key, _text = ApiKey.create("app", user if lost == "account" else None)
    endpoint = make_endpoint(api_key=key, owner=key.owner)
    match lost:
        case "account":
            user.is_active = False
            user.save()
        case "revoked":
            ApiKey.objects.filter(pk=key.pk).update(revoked_at=Now())
        case "expired":
            ApiKey.objects.filter(pk=key.pk).update(expires_at=Now() - timedelta(seconds=1))
        case "disabled":
            WebhookEndpoint.objects.filter(pk=endpoint.pk).update(enabled=False)
    session = live("hello", api_key=key, owner=key.owner)
    end(session)
    Announcer().announce()
    assert told() == []


def test_a_key_that_expires_does_not_end_the_endpoints_of_its_owner() -> None:
    user = make_user()
    key, _text = ApiKey.create("app", user)
    make_endpoint(api_key=key, owner=user, events=["session.completed"])
    ApiKey.objects.filter(pk=key.pk).update(expires_at=Now() - timedelta(seconds=1))
    end(live("hello", owner=user))
    Announcer().announce()
    assert types() == ["session.completed"]


def test_a_session_that_was_started_again_is_told_by_its_next_end() -> None:
    make_endpoint(events=["session.completed", "session.failed"])
    session = live()
    end(session, State.FAILED)
    session.state, session.epoch = State.LIVE, session.epoch + 1
    session.save()
    Announcer().announce()
    assert told() == []
    end(session)
    Announcer().announce()
    assert types() == ["session.completed"]


def test_a_deleted_session_takes_what_was_told_of_it_along() -> None:
    make_endpoint()
    session, other = live("hello"), live("other")
    end(session)
    Announcer().announce()
    services.delete_session(session)
    assert texts() == [["other"]]
    assert WebhookDelivery.objects.filter(session=other).count() == 1


def test_a_process_that_dies_while_it_stores_an_end_loses_nothing() -> None:
    make_endpoint(events=["session.completed"])
    end(live("hello"))
    with transaction.atomic():
        Announcer().announce()
        transaction.set_rollback(True)
    assert (told(), SessionEnd.objects.count()) == ([], 1)
    Announcer().announce()
    assert types() == ["session.completed"]


def test_where_nobody_has_an_endpoint_looking_reads_two_small_tables_whatever_is_live() -> None:
    for number in range(5):
        live("hello", title=str(number))
    announcer = Announcer()
    with CaptureQueriesContext(connection) as statements:
        assert not announcer.has_news()
    assert len(statements) == 2
    assert all("transcriptionsession" not in statement["sql"].split("WHERE")[0] for statement in statements)


def test_sessions_without_news_cost_no_statement_of_their_own() -> None:
    make_endpoint()
    for number in range(5):
        live("hello", title=str(number))
    announcer = Announcer()
    announcer.announce()
    with CaptureQueriesContext(connection) as statements:
        assert not announcer.has_news()
    assert len(statements) <= 3
