"""The native protocol: what is legal when, and how everything is said."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from transcription import commands, errors, events
from transcription.dialects.base import DialectLimits, Handshake
from transcription.dialects.native import NativeDialect
from transcription.dialects.native_messages import CLIENT_MESSAGE_TYPES, ServerMessage, Transcript
from transcription.errors import BadMessage, MessageTooLarge, TranscriptionError
from transcription.identity.principals import LOCAL
from transcription.options import TranscriptionConfig
from transcription.results import Alternative, FinalResult, InterimResult, Word

SERVER_MESSAGE: TypeAdapter[Any] = TypeAdapter(ServerMessage)
LIMITS = DialectLimits(
    max_audio_message_bytes=65536,
    max_text_message_bytes=16384,
    max_messages_per_second=1000,
    start_timeout_ms=10_000,
    idle_timeout_ms=60_000,
    session_timeout_ms=1_800_000,
    resume_window_ms=0,
    max_sessions=150,
)
CONFIG = TranscriptionConfig().as_applied()
AUDIO = base64.b64encode(b"\x01\x02").decode()
MESSAGES: dict[str, dict[str, Any]] = {
    "start_transcription": {"type": "start_transcription"},
    "audio": {"type": "audio", "audio": AUDIO},
    "finalize": {"type": "finalize"},
    "keepalive": {"type": "keepalive"},
    "resume_transcription": {"type": "resume_transcription", "resume_token": "x"},
    "stop_transcription": {"type": "stop_transcription"},
}


def new_dialect(offered: Sequence[str] = ()) -> NativeDialect:
    return NativeDialect(Handshake("my-id", subprotocols=offered), limits=LIMITS, request_id="request-1")


def in_state(state: str) -> NativeDialect:
    """fresh; starting: start was sent; started: the recogniser is open; stopping: stop was sent."""
    dialect = new_dialect()
    if state != "fresh":
        say(dialect, "start_transcription")
    if state in ("started", "stopping"):
        dialect.render(events.Started("my-id", CONFIG))
    if state == "stopping":
        say(dialect, "stop_transcription")
    return dialect


def say(dialect: NativeDialect, kind: str) -> Sequence[commands.Command]:
    return dialect.on_text(json.dumps(MESSAGES[kind]))


def one(dialect: NativeDialect, event: events.Event) -> dict[str, Any]:
    """The only message of an event, which must be one of the protocol's."""
    [text] = dialect.render(event)
    SERVER_MESSAGE.validate_json(text)
    message: dict[str, Any] = json.loads(text)
    return message


# What is legal when

AUDIO_COMMAND: list[commands.Command] = [commands.Audio(b"\x01\x02")]
LEGAL: dict[tuple[str, str], list[commands.Command] | str] = {
    ("fresh", "start_transcription"): [commands.Start({})],
    ("fresh", "audio"): "not_started",
    ("fresh", "finalize"): "not_started",
    ("fresh", "keepalive"): [commands.KeepAlive()],
    ("fresh", "resume_transcription"): [commands.Resume("x", None, None)],
    ("fresh", "stop_transcription"): "not_started",
    **{(state, "start_transcription"): "already_started" for state in ("starting", "started", "stopping")},
    **{(state, "resume_transcription"): "already_started" for state in ("starting", "started", "stopping")},
    **{(state, "keepalive"): [commands.KeepAlive()] for state in ("starting", "started", "stopping")},
    **{(state, "audio"): AUDIO_COMMAND for state in ("starting", "started")},
    **{(state, "finalize"): [commands.Finalize()] for state in ("starting", "started")},
    **{(state, "stop_transcription"): [commands.Stop()] for state in ("starting", "started")},
    **{("stopping", kind): [] for kind in ("audio", "finalize", "stop_transcription")},
}


def test_every_message_has_a_decision_in_every_state() -> None:
    assert set(MESSAGES) == set(CLIENT_MESSAGE_TYPES)
    assert len(LEGAL) == 4 * len(MESSAGES)


@pytest.mark.parametrize(("state", "kind"), LEGAL)
def test_each_message_is_taken_or_refused_in_each_state(state: str, kind: str) -> None:
    dialect, expected = in_state(state), LEGAL[state, kind]

    if isinstance(expected, str):
        with pytest.raises(BadMessage) as caught:
            say(dialect, kind)
        assert caught.value.reason == expected
    else:
        assert say(dialect, kind) == expected


@pytest.mark.parametrize("state", ["fresh", "starting", "started", "stopping"])
def test_binary_audio_is_judged_as_the_text_message_is(state: str) -> None:
    dialect, expected = in_state(state), LEGAL[state, "audio"]

    if isinstance(expected, str):
        with pytest.raises(BadMessage) as caught:
            dialect.on_binary(b"\x01\x02")
        assert caught.value.reason == expected
    else:
        assert dialect.on_binary(b"\x01\x02") == expected


def test_the_options_are_handed_on_as_given() -> None:
    text = json.dumps({"type": "start_transcription", "config": {"language": "de-DE", "nonsense": 1}})

    assert new_dialect().on_text(text) == [commands.Start({"language": "de-DE", "nonsense": 1})]


def test_a_resume_carries_its_fields() -> None:
    message = {"type": "resume_transcription", "resume_token": "t", "received_segments": 3, "held_from": 7}

    assert new_dialect().on_text(json.dumps(message)) == [commands.Resume("t", 3, 7)]


# What is malformed

MALFORMED: list[tuple[str, str, str | None]] = [
    ('{"type": "strat"}', "unknown_type", "type"),
    ("{}", "unknown_type", "type"),
    ('{"type": null}', "unknown_type", "type"),
    ('{"type": 7}', "unknown_type", "type"),
    ('{"type": ["audio"]}', "unknown_type", "type"),
    ('{"type": {}}', "unknown_type", "type"),
    ('{"event": "transcript"}', "unknown_type", "type"),
    ('{"type": "keepalive", "now": 1}', "unknown_field", "now"),
    ('{"type": "stop_transcription", "reason": "done"}', "unknown_field", "reason"),
    ('{"type": "start_transcription", "language": "en-US"}', "unknown_field", "language"),
    ('{"type": "audio", "audio": "AQI=", "seq": 1}', "unknown_field", "seq"),
    ('{"type": "start_transcription", "config": []}', "bad_field", "config"),
    ('{"type": "start_transcription", "config": null}', "bad_field", "config"),
    ('{"type": "audio"}', "bad_field", "audio"),
    ('{"type": "audio", "audio": 7}', "bad_field", "audio"),
    ('{"type": "audio", "audio": "not base64!"}', "bad_field", "audio"),
    ('{"type": "audio", "audio": "AQI"}', "bad_field", "audio"),
    ('{"type": "audio", "audio": "\\u00e4\\u00e4\\u00e4\\u00e4"}', "bad_field", "audio"),
    ('{"type": "resume_transcription"}', "bad_field", "resume_token"),
    ('{"type": "resume_transcription", "resume_token": "x", "held_from": -1}', "bad_field", "held_from"),
    ('{"type": "resume_transcription", "resume_token": "x", "held_from": 1.5}', "bad_field", "held_from"),
    ('{"type": "resume_transcription", "resume_token": "' + "x" * 201 + '"}', "bad_field", "resume_token"),
    ("RIFFxxxxWAVE", "bad_json", None),
    ("[]", "bad_json", None),
    ('{"type": "keepalive", "a": NaN}', "bad_json", None),
]


@pytest.mark.parametrize(("text", "reason", "field"), MALFORMED)
def test_a_malformed_message_says_what_is_wrong_with_it(text: str, reason: str, field: str | None) -> None:
    with pytest.raises(BadMessage) as caught:
        in_state("started").on_text(text)

    assert (caught.value.reason, caught.value.field) == (reason, field)
    assert field is None or field in caught.value.message


def test_a_long_unknown_field_is_named_in_a_short_message() -> None:
    with pytest.raises(BadMessage) as caught:
        in_state("started").on_text(json.dumps({"type": "keepalive", "x" * 5000: 1}))

    assert len(caught.value.message) < 500


@given(st.text(st.characters(), max_size=100))
def test_any_text_is_commands_or_a_bad_message(text: str) -> None:
    dialect = in_state("started")
    try:
        dialect.on_text(text)
    except BadMessage as error:
        one(dialect, events.Failed(error))


@given(st.sampled_from(list(MESSAGES)), st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8)))
def test_any_fields_are_commands_or_a_bad_message(kind: str, fields: dict[str, Any]) -> None:
    dialect = in_state("started")
    try:
        dialect.on_text(json.dumps({**MESSAGES[kind], **fields}))
    except BadMessage as error:
        one(dialect, events.Failed(error))


# Sizes


def test_audio_up_to_the_limit_is_taken_and_more_is_not() -> None:
    dialect, limit = in_state("started"), LIMITS.max_audio_message_bytes
    assert dialect.on_binary(bytes(limit)) == [commands.Audio(bytes(limit))]

    with pytest.raises(MessageTooLarge) as caught:
        dialect.on_binary(bytes(limit + 1))
    assert str(limit) in caught.value.message


def test_base64_audio_has_the_limit_of_the_audio_in_it() -> None:
    dialect, limit = in_state("started"), LIMITS.max_audio_message_bytes
    whole = json.dumps({"type": "audio", "audio": base64.b64encode(bytes(limit)).decode()})
    assert dialect.on_text(whole) == [commands.Audio(bytes(limit))]

    with pytest.raises(MessageTooLarge):
        dialect.on_text(json.dumps({"type": "audio", "audio": base64.b64encode(bytes(limit + 1)).decode()}))


def test_any_other_text_has_the_limit_of_text() -> None:
    dialect, limit = new_dialect(), LIMITS.max_text_message_bytes
    text = json.dumps({"type": "start_transcription", "config": {"title": "x" * limit}})

    with pytest.raises(MessageTooLarge):
        dialect.on_text(text)


def test_text_that_no_message_could_be_is_not_even_parsed() -> None:
    with pytest.raises(MessageTooLarge):
        in_state("started").on_text("[" * (2 * LIMITS.max_audio_message_bytes))


# Strikes


@pytest.mark.parametrize("state", ["fresh", "starting"])
def test_before_the_start_the_first_bad_message_ends_the_connection(state: str) -> None:
    assert in_state(state).is_fatal(BadMessage("x"))


def test_after_the_start_the_third_bad_message_does() -> None:
    dialect = in_state("started")

    assert [dialect.is_fatal(BadMessage("x")) for _ in range(3)] == [False, False, True]


@pytest.mark.parametrize(
    "error", [MessageTooLarge("x"), errors.TooFast("x"), errors.BadConfig("x"), errors.BadAudio("x")]
)
def test_other_errors_end_the_connection_at_once(error: TranscriptionError) -> None:
    assert in_state("started").is_fatal(error)


# How events are said


def test_the_first_message_announces_every_limit() -> None:
    [text] = new_dialect().opened(LOCAL)
    message = json.loads(text)

    SERVER_MESSAGE.validate_json(text)
    assert message["event"] == "session_created"
    assert message["session_id"] == "my-id"
    assert message["protocol"] == "speech.v1"
    assert message["limits"] == {
        "max_audio_bytes": 65536,
        "max_text_bytes": 16384,
        "max_messages_per_second": 1000,
        "start_timeout_ms": 10_000,
        "idle_timeout_ms": 60_000,
        "session_timeout_ms": 1_800_000,
        "resume_window_ms": 0,
        "max_sessions": 150,
    }


@pytest.mark.parametrize(
    ("offered", "selected"),
    [
        ((), None),
        (("speech.v1",), "speech.v1"),
        (("speech.v1", "speech.token.abc"), "speech.v1"),
        (("speech.token.abc",), None),
        (("speech.v2",), None),
    ],
)
def test_only_the_protocol_itself_is_selected(offered: Sequence[str], selected: str | None) -> None:
    assert new_dialect(offered).subprotocol == selected


def test_started_says_what_is_applied_and_that_it_cannot_be_resumed() -> None:
    message = one(in_state("starting"), events.Started("my-id", CONFIG))

    assert message["config"] == CONFIG.model_dump(mode="json")
    assert (message["resumable"], message["resume_token"], message["audio_offset"]) == (False, None, 0)


WORD = Word("hello", 100, 300, 0.9, "1")
INTERIM = InterimResult("hello", 100, 300, 0.5, (WORD,), (Alternative("hello"),), 1, "en-US", 320)
FINAL = FinalResult("hello", 100, 300, 0.9, (WORD,), (Alternative("hello", 0.9),), None, None, 320)
WORD_SAID = {"word": "hello", "start_ms": 100, "end_ms": 300, "confidence": 0.9, "speaker": "1"}


def test_an_interim_says_all_but_what_only_finals_have() -> None:
    assert one(in_state("started"), events.Interim(4, INTERIM)) == {
        "event": "transcript",
        "segment": 4,
        "is_final": False,
        "text": "hello",
        "start_ms": 100,
        "end_ms": 300,
        "confidence": None,
        "stability": 0.5,
        "words": [],
        "alternatives": [{"text": "hello", "confidence": None}],
        "channel": 1,
        "language": "en-US",
        "durable": None,
        "tail": None,
    }


def test_interims_carry_words_only_where_they_were_asked_for() -> None:
    dialect = in_state("starting")
    dialect.render(events.Started("my-id", CONFIG.model_copy(update={"words_in_interims": True})))

    assert one(dialect, events.Interim(0, INTERIM))["words"] == [WORD_SAID]


@pytest.mark.parametrize(("durable", "tail"), [(True, False), (False, False), (True, True)])
def test_a_final_says_its_words_and_whether_it_is_kept(durable: bool, tail: bool) -> None:
    message = one(in_state("started"), events.Final(2, FINAL, durable=durable, tail=tail))

    assert message["is_final"] is True
    assert message["words"] == [WORD_SAID]
    assert message["confidence"] == 0.9
    assert message["stability"] is None
    assert (message["segment"], message["durable"], message["tail"]) == (2, durable, tail)


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (events.Ack(10, 5, 20), {"event": "audio_ack", "received": 10, "safe": 5, "limit": 20}),
        (events.Ack(10, None, None), {"event": "audio_ack", "received": 10, "safe": None, "limit": None}),
        (
            events.RecogniserStatus("lagging", 6000),
            {"event": "recogniser_status", "state": "lagging", "lag_ms": 6000},
        ),
        (events.AudioWarning("too_fast"), {"event": "audio_warning", "code": "too_fast"}),
        (
            events.Expiring(15_000, "idle_timeout"),
            {"event": "session_expiring", "in_ms": 15_000, "reason": "idle_timeout", "resume_elsewhere": False},
        ),
        (
            events.Stopped("client", 1000, 32000, 32000, 3),
            {
                "event": "transcription_stopped",
                "reason": "client",
                "audio_ms": 1000,
                "received": 32000,
                "safe": 32000,
                "segments": 3,
                "gaps": [],
            },
        ),
    ],
)
def test_notices_are_said_field_by_field(event: events.Event, expected: dict[str, Any]) -> None:
    assert one(in_state("started"), event) == expected


def test_an_error_says_everything_a_client_needs() -> None:
    error = errors.AtCapacity("Full.", retry_after_ms=5000)

    assert one(in_state("starting"), events.Failed(error, safe=64)) == {
        "event": "error",
        "code": 4503,
        "reason": "at_capacity",
        "message": "Full.",
        "retryable": True,
        "retry_after_ms": 5000,
        "field": None,
        "request_id": "request-1",
        "safe": 64,
    }


def test_the_close_code_is_the_errors_own_or_1000() -> None:
    dialect = in_state("started")

    assert dialect.close_code(None) == 1000
    kinds = [kind for kind in TranscriptionError.__subclasses__() if kind.__module__ == TranscriptionError.__module__]
    for error in kinds:
        assert dialect.close_code(error("x")) == error.code


@pytest.mark.parametrize("event", [events.Interim(4, INTERIM), events.Final(2, FINAL)])
def test_transcripts_are_said_with_the_fields_of_their_model_in_its_order(event: events.Event) -> None:
    (text,) = in_state("started").render(event)

    assert list(json.loads(text)) == list(Transcript.model_fields)
    assert Transcript.model_validate_json(text, strict=True).model_dump_json() == text
