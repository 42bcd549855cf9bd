"""Secrets and signatures, held to the specification's own library."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest
from django.test import override_settings
from standardwebhooks import Webhook, WebhookVerificationError

from transcription.webhooks import signing

BODY = '{"type":"session.completed","data":{"title":"Besprechung über Öl"}}'.encode()


def headers(*salts: str, body: bytes = BODY) -> dict[str, str]:
    return signing.signed_headers("msg_1", body, salts=salts, timestamp_s=int(time.time()))


def test_the_specifications_library_accepts_what_is_signed() -> None:
    assert Webhook(signing.secret_text("salt")).verify(BODY, headers("salt"))["type"] == "session.completed"


def test_the_signature_is_the_one_of_the_specification() -> None:
    signed = signing.signed_headers("msg_1", b"{}", salts=["salt"], timestamp_s=1_700_000_000)
    by_library = Webhook(signing.secret_text("salt")).sign("msg_1", _moment(1_700_000_000), "{}")
    assert signed == {"webhook-id": "msg_1", "webhook-timestamp": "1700000000", "webhook-signature": by_library}


def test_a_changed_body_another_secret_and_an_old_timestamp_are_refused() -> None:
    verifier = Webhook(signing.secret_text("salt"))
    old = signing.signed_headers("msg_1", BODY, salts=["salt"], timestamp_s=int(time.time()) - 600)
    for body, signed in ((BODY + b" ", headers("salt")), (BODY, headers("other")), (BODY, old)):
        with pytest.raises(WebhookVerificationError):
            verifier.verify(body, signed)


def test_during_a_rotation_both_secrets_verify() -> None:
    signed = headers("new", "old")
    assert signed["webhook-signature"].count("v1,") == 2
    for salt in ("new", "old"):
        Webhook(signing.secret_text(salt)).verify(BODY, signed)


def test_a_secret_is_long_random_and_of_its_form() -> None:
    secret = signing.secret_text(signing.make_salt())
    assert secret.startswith("whsec_")
    assert len(signing.secret_key("salt")) == 32
    assert secret != signing.secret_text(signing.make_salt())


def test_another_secret_key_of_the_site_gives_another_secret_and_is_told_by_the_fingerprint() -> None:
    before = signing.secret_text("salt"), signing.fingerprint("salt")
    with override_settings(SECRET_KEY="another key of at least so many characters"):
        assert signing.secret_text("salt") != before[0]
        assert signing.fingerprint("salt") != before[1]
    assert (signing.secret_text("salt"), signing.fingerprint("salt")) == before


def test_an_event_id_has_no_dot_that_would_end_it_within_what_is_signed() -> None:
    ids = {signing.make_event_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(event_id.startswith("msg_") and "." not in event_id and len(event_id) <= 40 for event_id in ids)


def _moment(timestamp_s: int) -> datetime:
    return datetime.fromtimestamp(timestamp_s, UTC)
