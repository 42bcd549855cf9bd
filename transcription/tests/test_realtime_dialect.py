"""The protocol of `/v1/realtime`, message by message, against OpenAI's own models of it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai._models import validate_type
from openai.types.realtime import RealtimeServerEvent

from transcription import commands, events
from transcription.audio.formats import AudioFormat
from transcription.commands import Command
from transcription.dialects import realtime_fields as fields
from transcription.dialects.base import DialectLimits, Handshake
from transcription.dialects.realtime import MAX_APPEND_BYTES, PIECE_BYTES, RealtimeDialect
from transcription.dialects.realtime_errors import ClientEventError
from transcription.dialects.realtime_secrets import join_secret, session_of, token_of
from transcription.errors import (
    AtCapacity,
    BadAudio,
    BadConfig,
    MessageTooLarge,
    NotAuthenticated,
    RecogniserFailed,
    TranscriptionError,
)
from transcription.identity.principals import LOCAL, Principal
from transcription.options import TranscriptionConfig
from transcription.results import FinalResult, InterimResult, Word

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
NVIDIA = ("realtime", "realtime-token.secret")
SECOND = bytes(48000)
# A union, which the function takes and its type hint does not.
SERVER_EVENT: Any = RealtimeServerEvent
PREFIX = "conversation.item.input_audio_transcription"


def connected(
    subprotocols: Sequence[str] = (),
    *,
    query: str = "intent=transcription",
    headers: Mapping[str, str] | None = None,
    principal: Principal = LOCAL,
) -> tuple[RealtimeDialect, dict[str, Any]]:
    """A dialect and its first message."""
    handshake = Handshake(query=query, headers=headers or {}, subprotocols=subprotocols)
    dialect = RealtimeDialect(handshake, limits=LIMITS, request_id="request-1")
    [text] = dialect.opened(principal)
    return dialect, json.loads(text)


def say(dialect: RealtimeDialect, kind: str, **fields: Any) -> Sequence[Command]:
    return dialect.on_text(json.dumps({"type": kind, **fields}))


def append(dialect: RealtimeDialect, audio: bytes, **fields: Any) -> Sequence[Command]:
    return say(dialect, "input_audio_buffer.append", audio=base64.b64encode(audio).decode(), **fields)


def commit(dialect: RealtimeDialect) -> Sequence[Command]:
    return say(dialect, "input_audio_buffer.commit")


def refused(dialect: RealtimeDialect, text: str) -> dict[str, Any]:
    """The error object that answers a wrong event, after which the session goes on."""
    with pytest.raises(ClientEventError) as caught:
        dialect.on_text(text)
    assert not dialect.is_fatal(caught.value)
    [event] = told(dialect, events.Failed(caught.value))
    error: dict[str, Any] = event["error"]
    return error


def answers(found: Sequence[Command]) -> list[dict[str, Any]]:
    return [json.loads(text) for command in found if isinstance(command, commands.Answer) for text in command.texts]


def kinds(found: Sequence[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in found]


def told(dialect: RealtimeDialect, *happened: events.Event) -> list[dict[str, Any]]:
    """What these events are told as; every message must be one of OpenAI's."""
    found = [json.loads(text) for event in happened for text in dialect.render(event)]
    for message in found:
        validate_type(type_=SERVER_EVENT, value=message)
    return found


def interim(text: str, segment: int = 0, start_ms: int = 100) -> events.Interim:
    return events.Interim(segment, InterimResult(text, start_ms, start_ms + 400))


def final(text: str, segment: int = 0, start_ms: int = 100, end_ms: int = 900, **fields: Any) -> events.Final:
    words = (Word(text, start_ms, end_ms, None, None),)
    return events.Final(segment, FinalResult(text, start_ms, end_ms, words=words), **fields)


def stopped(audio_ms: int = 1000) -> events.Stopped:
    return events.Stopped("client", audio_ms, 0, 0, 1)


def options_of(found: Sequence[Command]) -> dict[str, Any]:
    [start] = [command for command in found if isinstance(command, commands.Start)]
    return start.options


# Who connects


def test_a_socket_with_nvidias_token_is_told_of_its_conversation_first() -> None:
    dialect, first = connected(NVIDIA)
    assert first["type"] == "conversation.created"
    assert dialect.subprotocol == "realtime"
    assert dialect.credential_of({}, NVIDIA) == "secret"


@pytest.mark.parametrize(
    ("headers", "subprotocols"),
    [
        ({"authorization": "Bearer secret"}, ()),
        ({"x-api-key": "secret"}, ()),
        ({}, ("realtime", "openai-insecure-api-key.secret")),
    ],
)
def test_any_other_socket_is_told_of_its_session_first(headers: dict[str, str], subprotocols: tuple[str, ...]) -> None:
    dialect, first = connected(subprotocols, headers=headers)
    validate_type(type_=SERVER_EVENT, value=first)
    assert first["type"] == "session.created"
    assert first["session"]["id"] == dialect.session_id
    assert dialect.credential_of(headers, subprotocols) == "secret"


@pytest.mark.parametrize(
    ("headers", "subprotocols"), [({"openai-beta": "realtime=v1"}, ()), ({}, ("realtime", "openai-beta.realtime-v1"))]
)
def test_a_client_of_the_beta_gets_the_older_first_event(
    headers: dict[str, str], subprotocols: tuple[str, ...]
) -> None:
    _dialect, first = connected(subprotocols, headers=headers)
    assert first["type"] == "transcription_session.created"
    assert first["session"]["input_audio_format"] == "pcm16"


def test_a_secret_names_the_session() -> None:
    dialect, first = connected(principal=Principal("token", session_id="sess_abc"))
    assert dialect.session_id == first["session"]["id"] == "sess_abc"


def test_a_secret_carries_the_settings_it_was_made_with() -> None:
    asked = {"audio": {"input": {"format": {"type": "audio/pcmu"}, "turn_detection": None}}}
    secret = join_secret("token", asked)
    assert (token_of(secret), session_of(secret)) == ("token", asked)
    _dialect, first = connected(headers={"authorization": f"Bearer {secret}"})
    heard = first["session"]["audio"]["input"]
    assert (heard["format"], heard["turn_detection"]) == ({"type": "audio/pcmu"}, None)


@pytest.mark.parametrize("settings", ["%%%", "bm8", "eyJ0eXBlIjoicmVhbHRpbWUifQ"])
def test_settings_that_cannot_be_read_are_the_usual_ones(settings: str) -> None:
    _dialect, first = connected(headers={"authorization": f"Bearer token~{settings}"})
    assert first["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24000}


def test_a_secret_has_a_bound() -> None:
    with pytest.raises(BadConfig):
        join_secret("token", {"input_audio_transcription": {"prompt": "x" * 4000}})


@pytest.mark.parametrize("query", ["intent=transcription", "", "model=whisper-1", "intent=transcription&model=x"])
def test_transcription_is_what_is_served(query: str) -> None:
    assert connected(query=query)[0].refusal() is None


@pytest.mark.parametrize("query", ["intent=conversation", "intent=transcription&intent=other"])
def test_another_intent_closes_1008(query: str) -> None:
    dialect = RealtimeDialect(Handshake(query=query), limits=LIMITS, request_id="")
    error = dialect.refusal()
    assert error is not None
    assert dialect.close_code(error) == 1008
    assert dialect.denial(error) is None
    assert told(dialect, events.Failed(error))[0]["error"]["param"] == "intent"


def test_a_program_is_told_in_the_handshake_and_a_page_by_an_event() -> None:
    error = NotAuthenticated("This key is not valid.", reason="wrong_key")
    program = RealtimeDialect(Handshake(), limits=LIMITS, request_id="r1")
    denial = program.denial(error)
    assert denial is not None
    body = json.loads(denial.body)
    assert (denial.status, body["detail"]) == (401, "This key is not valid.")
    assert body["error"] == {
        "type": "invalid_request_error", "code": "invalid_api_key", "message": "This key is not valid.",
        "param": None, "event_id": None,
    }  # fmt: skip
    page = RealtimeDialect(Handshake(headers={"origin": "https://x.example"}), limits=LIMITS, request_id="r1")
    assert page.denial(error) is None
    assert page.close_code(error) == 3000


def test_a_full_service_says_when_to_come_again() -> None:
    dialect = RealtimeDialect(Handshake(), limits=LIMITS, request_id="r1")
    denial = dialect.denial(AtCapacity("Full.", retry_after_ms=1500))
    assert denial is not None
    assert (denial.status, dict(denial.headers)[b"retry-after"]) == (503, b"2")


# OpenAI's: settings


def test_an_update_is_answered_with_what_applies() -> None:
    dialect, _first = connected()
    [event] = answers(
        say(dialect, "session.update", session={"type": "transcription", "audio": {"input": {"turn_detection": None}}})
    )
    validate_type(type_=SERVER_EVENT, value=event)
    assert event["type"] == "session.updated"
    assert event["session"]["audio"]["input"]["turn_detection"] is None


def test_the_older_update_is_answered_in_the_older_shape() -> None:
    dialect, _first = connected()
    [event] = answers(say(dialect, "transcription_session.update", session={"input_audio_format": "g711_ulaw"}))
    assert event["type"] == "transcription_session.updated"
    assert event["session"]["input_audio_format"] == "g711_ulaw"
    assert event["session"]["client_secret"] is None


def test_the_session_starts_with_the_first_audio_as_it_was_set() -> None:
    dialect, _first = connected()
    session = {
        "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16000}, "transcription": {"language": "en"}}}
    }
    assert not any(isinstance(command, commands.Start) for command in say(dialect, "session.update", session=session))
    found = append(dialect, b"\0\0" * 100)
    assert options_of(found)["sample_rate_hertz"] == 16000
    assert options_of(found)["language"] == "en-US"
    assert found[1:] == [commands.Audio(b"\0\0" * 100)]
    assert append(dialect, b"\0\0") == [commands.Audio(b"\0\0")]


def test_what_the_recogniser_was_started_with_cannot_change() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    session = {"input_audio_transcription": {"language": "de"}}
    error = refused(dialect, json.dumps({"type": "session.update", "session": session, "event_id": "e1"}))
    assert error["code"] == "session_started"
    assert error["param"] == "session.input_audio_transcription.language"
    assert error["event_id"] == "e1"
    [event] = answers(say(dialect, "session.update", session={"turn_detection": None}))
    assert event["type"] == "session.updated"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("{", "invalid_json", None),
        ('{"type": "response.create"}', "unknown_event", "type"),
        ("{}", "unknown_event", "type"),
        ('{"type": "session.update"}', "invalid_value", "session"),
        ('{"type": "session.update", "session": {"type": "realtime"}}', "invalid_value", "session.type"),
        ('{"type": "session.update", "session": {"voice": "alloy"}}', "unknown_parameter", "session.voice"),
        ('{"type": "input_audio_buffer.append"}', "invalid_value", "audio"),
        ('{"type": "input_audio_buffer.append", "audio": "!"}', "invalid_value", "audio"),
        (
            '{"type": "input_audio_buffer.append", "audio": "", "runtime_config": {}}',
            "unknown_parameter",
            "runtime_config",
        ),
        ('{"type": "input_audio_buffer.commit"}', "input_audio_buffer_commit_empty", None),
    ],
)
def test_a_wrong_event_is_answered_and_the_session_goes_on(message: str, code: str, param: str | None) -> None:
    dialect, _first = connected()
    error = refused(dialect, message)
    assert (error["type"], error["code"], error["param"]) == ("invalid_request_error", code, param)
    assert append(dialect, b"\0\0")


def test_binary_messages_are_refused() -> None:
    dialect, _first = connected()
    with pytest.raises(ClientEventError):
        dialect.on_binary(b"\0\0")


def test_an_append_may_have_a_mebibyte_and_goes_on_in_pieces() -> None:
    dialect, _first = connected()
    found = append(dialect, bytes(MAX_APPEND_BYTES))
    chunks = [command.chunk for command in found if isinstance(command, commands.Audio)]
    assert sum(map(len, chunks)) == MAX_APPEND_BYTES
    assert max(map(len, chunks)) == PIECE_BYTES


def test_a_larger_append_ends_the_connection() -> None:
    dialect, _first = connected()
    with pytest.raises(MessageTooLarge) as caught:
        append(dialect, bytes(MAX_APPEND_BYTES + 1))
    assert dialect.is_fatal(caught.value)
    assert dialect.close_code(caught.value) == 1009
    with pytest.raises(MessageTooLarge):
        say(dialect, "session.update", session={"prompt": "x" * 70_000})


# OpenAI's: the service ends items


def test_with_server_vad_an_item_goes_from_speech_to_text() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    found = told(
        dialect,
        interim("what is"),
        interim("what is natural language"),
        final("What is natural language processing?", end_ms=2000),
    )
    assert kinds(found) == [
        "input_audio_buffer.speech_started",
        f"{PREFIX}.delta",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{PREFIX}.delta",
        f"{PREFIX}.completed",
    ]
    assert found[0]["audio_start_ms"] == 100
    assert found[2]["audio_end_ms"] == 2000
    assert found[-1]["transcript"] == "What is natural language processing?"
    assert found[-1]["usage"] == {"type": "duration", "seconds": 1.9}
    items = {event.get("item_id") or event["item"]["id"] for event in found}
    assert len(items) == 1
    ids = [event["event_id"] for event in found]
    assert len(set(ids)) == len(ids)


def test_deltas_add_up_to_the_transcript() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    found = told(
        dialect,
        interim("one two three four"),
        interim("one two three four five"),
        interim("one two three four five six"),
        final("one two three four five six seven"),
    )
    deltas = [event["delta"] for event in found if event["type"] == f"{PREFIX}.delta"]
    assert len(deltas) > 2
    assert "".join(deltas) == "one two three four five six seven"


def test_each_item_names_the_one_before() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    found = told(dialect, final("one", 0, 0, 500), final("two", 1, 800, 1200))
    [first, second] = [event for event in found if event["type"] == "input_audio_buffer.committed"]
    assert first["previous_item_id"] is None
    assert second["previous_item_id"] == first["item_id"]


def test_a_final_that_is_told_again_once_it_is_stored_is_told_once() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    found = told(dialect, final("one", durable=False), final("one"), interim("one", 0))
    assert kinds(found).count(f"{PREFIX}.completed") == 1


def test_a_client_of_the_beta_is_told_of_items_as_before() -> None:
    dialect, _first = connected(headers={"openai-beta": "realtime=v1"})
    append(dialect, SECOND)
    found = kinds(told(dialect, final("one")))
    assert "conversation.item.created" in found
    assert "conversation.item.added" not in found


# OpenAI's: the client ends items


def manual() -> RealtimeDialect:
    dialect, _first = connected()
    say(dialect, "session.update", session={"turn_detection": None})
    return dialect


def test_a_commit_ends_the_utterance_and_its_item_completes_once_all_is_said() -> None:
    dialect = manual()
    append(dialect, SECOND * 2)
    assert kinds(told(dialect, final("One.", 0, 0, 900))) == [f"{PREFIX}.delta"]
    found = commit(dialect)
    assert commands.Finalize() in found
    committed = answers(found)
    assert kinds(committed) == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    assert kinds(told(dialect, final("Two.", 1, 1000, 1900))) == [f"{PREFIX}.delta"]
    [completed] = told(dialect, events.UtteranceEnded(2000))
    assert (completed["transcript"], completed["item_id"]) == ("One. Two.", committed[0]["item_id"])
    assert completed["usage"]["seconds"] == 2.0


def test_what_is_said_after_a_commit_belongs_to_the_next_item() -> None:
    dialect = manual()
    append(dialect, SECOND)
    first = answers(commit(dialect))[0]["item_id"]
    append(dialect, SECOND)
    second = answers(commit(dialect))[0]["item_id"]
    found = told(
        dialect,
        final("One.", 0, 100, 900),
        final("Two.", 1, 1100, 1900),
        events.UtteranceEnded(1000),
        events.UtteranceEnded(2000),
    )
    texts = {event["item_id"]: event["transcript"] for event in found if event["type"] == f"{PREFIX}.completed"}
    assert texts == {first: "One.", second: "Two."}


def test_a_commit_of_silence_completes_empty() -> None:
    dialect = manual()
    append(dialect, SECOND)
    commit(dialect)
    [completed] = told(dialect, events.UtteranceEnded(1000))
    assert completed["transcript"] == ""


def test_a_client_may_commit_while_the_service_listens_for_ends_too() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    [started] = told(dialect, interim("one"))
    committed = answers(commit(dialect))
    assert committed[0]["item_id"] == started["item_id"]
    found = told(dialect, final("one"), events.UtteranceEnded(1000))
    assert kinds(found) == [f"{PREFIX}.delta", f"{PREFIX}.completed"]


def test_what_is_cleared_is_not_told() -> None:
    dialect = manual()
    append(dialect, SECOND)
    found = say(dialect, "input_audio_buffer.clear")
    assert kinds(answers(found)) == ["input_audio_buffer.cleared"]
    assert commands.Finalize() in found
    assert told(dialect, interim("no"), final("No.", 0, 0, 900), events.UtteranceEnded(1000)) == []
    append(dialect, SECOND)
    commit(dialect)
    found_after = told(dialect, final("Yes.", 1, 1100, 1900), events.UtteranceEnded(2000))
    assert found_after[-1]["transcript"] == "Yes."


def test_with_nothing_to_clear_the_utterance_goes_on() -> None:
    dialect, _first = connected()
    assert kinds(answers(say(dialect, "input_audio_buffer.clear"))) == ["input_audio_buffer.cleared"]
    assert not any(isinstance(command, commands.Finalize) for command in say(dialect, "input_audio_buffer.clear"))


def test_the_end_completes_what_was_not_committed() -> None:
    dialect = manual()
    append(dialect, SECOND)
    assert commands.Stop() in say(dialect, "input_audio_buffer.done")
    found = told(dialect, final("One."), stopped())
    assert found[-1]["transcript"] == "One."
    assert dialect.close_code(None) == 1000
    assert say(dialect, "input_audio_buffer.append", audio="") == []


def test_a_session_that_fails_fails_its_items_and_then_says_why() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    [started] = told(dialect, interim("one"))
    error: TranscriptionError = RecogniserFailed("The recogniser failed.")
    found = told(dialect, events.Failed(error))
    assert kinds(found) == [f"{PREFIX}.failed", "error"]
    assert found[0]["item_id"] == started["item_id"]
    assert found[1]["error"]["type"] == "server_error"
    assert dialect.close_code(error) == 1011
    assert dialect.is_fatal(error)


def test_what_the_recogniser_refuses_is_named_as_the_client_named_it() -> None:
    dialect, _first = connected()
    append(dialect, SECOND)
    error = BadConfig("The recogniser does not offer the language de-DE.", field="config.language")
    [event] = told(dialect, events.Failed(error))
    assert event["error"]["param"] == "session.input_audio_transcription.language"


def test_clients_are_not_told_what_they_do_not_know() -> None:
    dialect, _first = connected()
    assert told(dialect, events.Ack(1, 1, 1), events.AudioWarning("silence"), events.Expiring(1, "idle_timeout")) == []
    assert told(dialect, events.Started("x", TranscriptionConfig())) == []


# NVIDIA's


def nvidia(**session: Any) -> RealtimeDialect:
    dialect, _first = connected(NVIDIA)
    say(dialect, "transcription_session.update", session={"input_audio_format": "pcm16"} | session)
    return dialect


def heard(dialect: RealtimeDialect, *happened: events.Event) -> list[dict[str, Any]]:
    return [json.loads(text) for event in happened for text in dialect.render(event)]


def test_nvidias_update_is_answered_by_the_very_next_message() -> None:
    dialect, _first = connected(NVIDIA)
    found = say(dialect, "transcription_session.update", session={"unknown": 1, "input_audio_format": "none"})
    [event] = answers(found)
    assert event["type"] == "transcription_session.updated"
    assert event["session"]["input_audio_format"] == "none"
    assert event["session"]["input_audio_params"]["sample_rate_hz"] == 16000


def test_a_commit_after_each_chunk_ends_nothing() -> None:
    dialect = nvidia()
    append(dialect, SECOND)
    for _ in range(3):
        [command] = commit(dialect)
        assert isinstance(command, commands.Answer)
        assert command.is_free


@pytest.mark.parametrize("asked", ["true", True])
def test_an_utterance_ends_behind_a_chunk_that_says_so(asked: Any) -> None:
    dialect = nvidia()
    assert append(dialect, SECOND, runtime_config={"force_eou": asked})[-1] == commands.Finalize()
    assert commands.Finalize() not in append(dialect, SECOND, runtime_config={"force_eou": "false"})
    assert commands.Finalize() not in append(dialect, SECOND)


def test_interims_are_readable_alone_and_the_whole_text_comes_once_at_the_end() -> None:
    dialect = nvidia()
    append(dialect, SECOND)
    found = heard(
        dialect,
        interim("one"),
        interim("one two"),
        final("one two", 0),
        events.UtteranceEnded(900),
        final("three", 1, 1000, 1500),
        stopped(1500),
    )
    assert [event["delta"] for event in found if event["type"] == f"{PREFIX}.delta"] == ["one", "one two"]
    completed = [event for event in found if event["type"] == f"{PREFIX}.completed"]
    assert [event["transcript"] for event in completed] == ["one two", "three", "one two three"]
    assert [event["is_last_result"] for event in completed] == [False, False, True]


def test_word_times_are_numbers_in_ms() -> None:
    dialect = nvidia()
    append(dialect, SECOND)
    words = (Word("one", 100, 300), Word("two", 400, 900, 0.5, "3"))
    [event] = heard(dialect, events.Final(0, FinalResult("one two", 100, 900, words=words)))
    assert event["words_info"]["words"] == [
        {"word": "one", "start_time": 100, "end_time": 300, "confidence": 0.0, "speaker_tag": 0},
        {"word": "two", "start_time": 400, "end_time": 900, "confidence": 0.5, "speaker_tag": 3},
    ]


def test_a_failure_is_followed_by_an_error_which_ends_nvidias_client() -> None:
    dialect = nvidia()
    append(dialect, SECOND)
    found = heard(dialect, interim("one"), events.Failed(RecogniserFailed("It failed.")))
    assert kinds(found)[-2:] == [f"{PREFIX}.failed", "error"]
    assert found[-1]["error"]["message"] == "It failed."


def test_an_end_that_the_service_wanted_still_tells_the_whole_text() -> None:
    dialect = nvidia()
    append(dialect, SECOND)
    found = heard(dialect, final("one"), interim("x", 1), stopped(), events.Failed(RecogniserFailed("Over.")))
    assert kinds(found)[-2:] == [f"{PREFIX}.completed", "error"]
    assert found[-2]["is_last_result"] is True


# Whole files


def wav(rate_hz: int = 22050, channels: int = 1, audio: bytes = SECOND) -> bytes:
    header = b"RIFF" + (36 + len(audio)).to_bytes(4, "little") + b"WAVEfmt " + (16).to_bytes(4, "little")
    block = channels * 2
    header += b"\x01\0" + channels.to_bytes(2, "little") + rate_hz.to_bytes(4, "little")
    header += (rate_hz * block).to_bytes(4, "little") + block.to_bytes(2, "little") + (16).to_bytes(2, "little")
    return header + b"data" + len(audio).to_bytes(4, "little") + audio


@pytest.mark.parametrize("chunk_bytes", [1, 7, 44, 100_000])
def test_a_file_says_itself_what_it_is(chunk_bytes: int) -> None:
    dialect = nvidia(input_audio_format="none")
    data = wav(22050, 2)[:200]
    found: list[Command] = []
    for start in range(0, len(data), chunk_bytes):
        found += append(dialect, data[start : start + chunk_bytes])
    options = options_of(found)
    assert (options["sample_rate_hertz"], options["audio_channel_count"]) == (22050, 2)
    assert b"".join(command.chunk for command in found if isinstance(command, commands.Audio)) == data


def test_a_file_without_a_header_is_what_was_declared() -> None:
    dialect = nvidia(input_audio_format="none", input_audio_params={"sample_rate_hz": 8000, "num_channels": 1})
    options = options_of(append(dialect, SECOND))
    assert (options["encoding"], options["sample_rate_hertz"]) == (
        "LINEAR_PCM",
        AudioFormat(sample_rate_hz=8000).sample_rate_hz,
    )


def test_a_compressed_file_is_taken_by_its_first_bytes() -> None:
    dialect = nvidia(input_audio_format="none")
    assert options_of(append(dialect, b"fLaC" + bytes(100)))["encoding"] == "FLAC"


def test_an_empty_file_ends_at_once() -> None:
    dialect = nvidia(input_audio_format="none")
    found = say(dialect, "input_audio_buffer.done")
    assert [type(command) for command in found] == [commands.Start, commands.Stop]


def test_a_file_shorter_than_a_header_is_heard_at_its_end() -> None:
    dialect = nvidia(input_audio_format="none")
    assert not any(isinstance(command, commands.Start) for command in append(dialect, b"\0\0"))
    found = say(dialect, "input_audio_buffer.done")
    assert commands.Audio(b"\0\0") in found
    assert found[-1] == commands.Stop()


def test_a_file_that_is_not_served_says_why() -> None:
    dialect = nvidia(input_audio_format="none")
    with pytest.raises(BadAudio) as caught:
        append(dialect, wav(96000))
    assert dialect.close_code(caught.value) == 1003
    assert "96000 Hz" in heard(dialect, events.Failed(caught.value))[-1]["error"]["message"]


# Whatever comes

KINDS = st.sampled_from(
    [
        "session.update", "transcription_session.update", "input_audio_buffer.append", "input_audio_buffer.commit",
        "input_audio_buffer.clear", "input_audio_buffer.done", "response.create",
    ]
)  # fmt: skip
FIELD_NAMES = st.sampled_from(
    [
        *fields.Session.model_fields,
        *fields.AudioInput.model_fields,
        *fields.EndpointingConfig.model_fields,
        "input",
        "x",
    ]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 100_000) | st.floats(0, 2) | st.text(max_size=5) | st.just("none")
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4), max_leaves=12
)
EVENTS = st.fixed_dictionaries(
    {"type": KINDS},
    optional={"session": VALUES, "audio": SCALARS | st.just("AAAA"), "runtime_config": VALUES, "event_id": SCALARS},
)


@given(st.lists(EVENTS, max_size=6), st.sampled_from([(), NVIDIA]))
def test_any_event_is_taken_or_refused_by_an_error_of_ours(found: list[dict[str, Any]], offered: Sequence[str]) -> None:
    dialect, _first = connected(offered)
    codes = []
    for event in found:
        try:
            dialect.on_text(json.dumps(event))
        except TranscriptionError as error:
            codes.append(dialect.close_code(error))
            if dialect.is_fatal(error):
                break
    assert all(1000 <= code < 5000 for code in codes)


@given(st.text(max_size=50))
def test_any_text_is_taken_or_refused_by_an_error_of_ours(text: str) -> None:
    dialect, _first = connected()
    with pytest.raises(ClientEventError):
        dialect.on_text(text)
