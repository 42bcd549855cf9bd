"""Deepgram's dialect with plain values: handshake, messages, and answers that its SDK's types accept."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from deepgram.core.unchecked_base_model import construct_type
from deepgram.listen.v1.socket_client import V1SocketClientResponse
from deepgram.listen.v1.types import (
    ListenV1ConfigureFailure,
    ListenV1Error,
    ListenV1Metadata,
    ListenV1Results,
    ListenV1SpeechStarted,
    ListenV1UtteranceEnd,
)
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from transcription import errors, events
from transcription.commands import Answer, Audio, Command, Finalize, KeepAlive, Start, Stop
from transcription.dialects import listen_messages as messages
from transcription.dialects.base import Handshake
from transcription.dialects.listen import AUDIO_PIECE_BYTES, ListenDialect
from transcription.dialects.listen_errors import HTTP, MAX_ECHO_CHARACTERS
from transcription.errors import BadAudio, BadMessage, MessageTooLarge, TranscriptionError
from transcription.options import TranscriptionConfig
from transcription.results import Alternative, FinalResult, InterimResult, Word
from transcription.tests.recordings import CONTAINERS, wav
from transcription.tests.test_native_dialect import LIMITS
from transcription.tests.webm import webm

RAW = "encoding=linear16&sample_rate=16000"
SESSION_ID = "0a1b2c3d-0000-4000-8000-000000000000"
CONFIG = TranscriptionConfig().as_applied()
WORDS = (Word("Hello,", 1000, 1400, 0.9), Word("World!", 1500, 2000, 0.8, "1"))
FINAL = FinalResult(
    text="Hello, World!",
    start_ms=1000,
    end_ms=2000,
    confidence=0.85,
    words=WORDS,
    alternatives=(Alternative("Hello, World!", 0.85), Alternative("Hello word", 0.4)),
    audio_processed_ms=2300,
)
INTERIM = InterimResult(text="Hello", start_ms=1000, end_ms=1400, stability=0.5, words=WORDS[:1])
SDK_TYPES: dict[str, Any] = {
    "Results": ListenV1Results,
    "UtteranceEnd": ListenV1UtteranceEnd,
    "SpeechStarted": ListenV1SpeechStarted,
    "Metadata": ListenV1Metadata,
    "Error": ListenV1Error,
    "ConfigureFailure": ListenV1ConfigureFailure,
}
ANY_SDK_MESSAGE: Any = V1SocketClientResponse
OUR_TYPES: dict[str, type[BaseModel]] = {
    "Results": messages.Results,
    "UtteranceEnd": messages.UtteranceEnd,
    "SpeechStarted": messages.SpeechStarted,
    "Metadata": messages.Metadata,
    "Error": messages.ErrorMessage,
    "ConfigureFailure": messages.ConfigureFailure,
}


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def new_dialect(query: str = RAW, *, subprotocols: Sequence[str] = (), clock: Clock | None = None) -> ListenDialect:
    return ListenDialect(
        Handshake(query=query, subprotocols=subprotocols),
        limits=LIMITS,
        request_id="request-1",
        clock=clock or Clock(),
        now=lambda: datetime(2026, 8, 1, 12, 0, 0, 123456, tzinfo=UTC),
        new_id=lambda: SESSION_ID,
    )


def started(query: str = RAW, *, clock: Clock | None = None) -> ListenDialect:
    dialect = new_dialect(query, clock=clock)
    dialect.on_binary(b"\1\2" * 32_000)
    dialect.render(events.Started(SESSION_ID, CONFIG, model="tiny-en"))
    return dialect


def say(dialect: ListenDialect, kind: str, **fields: Any) -> Sequence[Command]:
    return dialect.on_text(json.dumps({"type": kind} | fields))


def read(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Messages, each of which must be what the SDK's types and our own models say."""
    found: list[dict[str, Any]] = []
    for text in texts:
        message = json.loads(text)
        SDK_TYPES[message["type"]].model_validate(message)
        assert type(construct_type(type_=ANY_SDK_MESSAGE, object_=message)) is SDK_TYPES[message["type"]]
        ours = OUR_TYPES[message["type"]]
        assert ours.model_validate(message).model_dump(exclude_none=True) == message
        found.append(message)
    return found


def told(dialect: ListenDialect, event: events.Event) -> list[dict[str, Any]]:
    return read(dialect.render(event))


def tick(dialect: ListenDialect, heard_ms: int, now_s: float) -> list[dict[str, Any]]:
    return read(dialect.tick(heard_ms=heard_ms, now_s=now_s))


def kinds(commands: Sequence[Command]) -> list[type[Command]]:
    return [type(command) for command in commands]


# The handshake


@pytest.mark.parametrize(
    ("headers", "subprotocols", "credential", "selected"),
    [
        ({"authorization": "Token KEY"}, (), "KEY", None),
        ({"authorization": "token KEY"}, (), "KEY", None),
        ({"authorization": "bearer KEY"}, (), "KEY", None),
        ({"authorization": "Basic KEY"}, (), None, None),
        ({}, ("token", "KEY"), "KEY", "token"),
        ({}, ("bearer", "KEY"), "KEY", "bearer"),
        ({}, ("token",), None, "token"),
        ({}, ("KEY", "token"), None, None),
        ({}, (), None, None),
    ],
)
def test_credentials_stand_where_deepgrams_clients_put_them(
    headers: dict[str, str], subprotocols: Sequence[str], credential: str | None, selected: str | None
) -> None:
    dialect = new_dialect(subprotocols=subprotocols)

    assert dialect.credential_of(headers, subprotocols) == credential
    assert dialect.subprotocol == selected


def test_a_key_in_the_address_is_no_credential() -> None:
    dialect = new_dialect("token=KEY&key=KEY")

    assert dialect.credential_of({}, ()) is None


def test_each_connection_is_a_session_of_its_own() -> None:
    first, second = (ListenDialect(Handshake(), limits=LIMITS, request_id="request-1") for _ in range(2))

    assert first.session_id != second.session_id


@pytest.mark.parametrize(
    ("error", "status", "err_code"),
    [
        (errors.NotAuthenticated("Log in or use a key."), 401, "INVALID_AUTH"),
        (errors.NotAllowed("No."), 403, "INSUFFICIENT_PERMISSIONS"),
        (errors.BadConfig("encoding: no."), 400, "Bad Request"),
        (errors.TooFast("Slow down."), 429, "TOO_MANY_REQUESTS"),
        (errors.AtCapacity("Full."), 503, "SERVICE_UNAVAILABLE"),
        (TranscriptionError("Oh."), 500, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_a_handshake_is_refused_with_a_status_and_a_body(error: TranscriptionError, status: int, err_code: str) -> None:
    denial = new_dialect().denial(error)

    assert denial is not None
    assert denial.status == status
    assert json.loads(denial.body) == {"err_code": err_code, "err_msg": error.message, "request_id": "request-1"}
    headers = dict(denial.headers)
    assert headers[b"dg-error"] == error.message.encode()
    assert headers[b"dg-request-id"] == b"request-1"


def test_what_a_refusal_repeats_of_the_client_makes_no_second_header() -> None:
    denial = new_dialect().denial(errors.BadConfig("model: \u00e9\r\nset-cookie: a=b", retry_after_ms=1500))

    assert denial is not None
    headers = dict(denial.headers)
    assert headers[b"dg-error"] == b"model: ? set-cookie: a=b"
    assert headers[b"retry-after"] == b"2"


@pytest.mark.parametrize("kind", TranscriptionError.__subclasses__(), ids=lambda kind: kind.__name__)
def test_every_error_has_an_answer(kind: type[TranscriptionError]) -> None:
    if kind.__module__ == errors.__name__:
        assert kind in HTTP


def test_a_bad_query_is_the_refusal_of_the_handshake() -> None:
    refusal = new_dialect("encoding=speex").refusal()

    assert refusal is not None
    assert refusal.field == "encoding"
    assert new_dialect().refusal() is None


def test_a_silent_client_has_ten_seconds() -> None:
    dialect = new_dialect()

    assert (dialect.start_timeout_ms, dialect.idle_timeout_ms) == (10_000, 10_000)
    impatient = dataclasses.replace(LIMITS, start_timeout_ms=2000, idle_timeout_ms=3000)
    dialect = ListenDialect(Handshake(), limits=impatient, request_id="request-1")
    assert (dialect.start_timeout_ms, dialect.idle_timeout_ms) == (2000, 3000)


# Audio in


def test_the_first_audio_starts_the_session() -> None:
    dialect = new_dialect(RAW + "&language=de&channels=2")

    start, audio = dialect.on_binary(b"\1\2\3\4")
    assert isinstance(start, Start)
    assert start.options["language"] == "de-DE"
    assert (start.options["encoding"], start.options["audio_channel_count"]) == ("LINEAR_PCM", 2)
    assert audio == Audio(b"\1\2\3\4")
    assert dialect.on_binary(b"\5\6\7\x08") == [Audio(b"\5\6\7\x08")]


def test_without_an_encoding_the_audio_says_it_wherever_it_is_cut() -> None:
    recording = wav(b"\1\2" * 100, rate_hz=44100)
    for cut in range(1, len(recording)):
        dialect = new_dialect("")
        commands = [*dialect.on_binary(recording[:cut]), *dialect.on_binary(recording[cut:])]
        start = commands[0]
        assert isinstance(start, Start)
        assert start.options["sample_rate_hertz"] == 44100
        assert b"".join(command.chunk for command in commands[1:] if isinstance(command, Audio)) == recording


@pytest.mark.parametrize(("name", "encoding"), [("Ogg", "OGGOPUS"), ("FLAC", "FLAC")])
def test_without_an_encoding_a_container_is_known_by_its_first_bytes(name: str, encoding: str) -> None:
    start, *_rest = new_dialect("model=nova-3").on_binary(CONTAINERS[name])

    assert isinstance(start, Start)
    assert start.options["encoding"] == encoding


def test_a_browsers_recording_goes_on_as_ogg() -> None:
    recording = webm(seconds=1)
    dialect = new_dialect("model=nova-3")

    start, *first = dialect.on_binary(recording[:500])
    rest = dialect.on_binary(recording[500:])

    assert isinstance(start, Start)
    assert start.options["encoding"] == "OGGOPUS"
    chunks = [command.chunk for command in (*first, *rest) if isinstance(command, Audio)]
    assert b"".join(chunks).startswith(b"OggS")
    assert sum(map(len, chunks)) > len(recording) // 2
    [metadata] = told(dialect, events.Stopped("client", 1000, 1, None, 0))
    assert metadata["sha256"] == hashlib.sha256(recording).hexdigest()


@pytest.mark.parametrize("name", ["MP3", "MP4"])
def test_without_an_encoding_what_cannot_be_read_is_bad_audio(name: str) -> None:
    dialect = new_dialect("")
    with pytest.raises(BadAudio) as caught:
        dialect.on_binary(CONTAINERS[name])

    assert dialect.is_fatal(caught.value)
    assert (dialect.close_code(caught.value), dialect.close_reason(caught.value)) == (1008, "DATA-0000")
    [error] = told(dialect, events.Failed(caught.value))
    assert error["variant"] == "DATA-0000"


def test_a_large_message_is_taken_in_pieces() -> None:
    dialect = started()
    chunk = bytes(range(256)) * 1024

    pieces = dialect.on_binary(chunk)

    assert all(isinstance(piece, Audio) and len(piece.chunk) <= AUDIO_PIECE_BYTES for piece in pieces)
    assert b"".join(piece.chunk for piece in pieces if isinstance(piece, Audio)) == chunk


# Messages in


def test_a_keepalive_holds_the_session_and_starts_it_where_the_format_is_known() -> None:
    assert kinds(say(new_dialect(), "KeepAlive")) == [Start, KeepAlive]
    assert kinds(say(new_dialect(""), "KeepAlive")) == [KeepAlive]
    assert kinds(say(started(), "KeepAlive")) == [KeepAlive]


def test_finalize_ends_the_utterance_and_may_name_a_channel() -> None:
    assert kinds(say(started(), "Finalize", channel=0)) == [Finalize]


def test_finalize_before_any_audio_is_answered_at_once() -> None:
    [answer] = say(new_dialect(), "Finalize")

    assert isinstance(answer, Answer)
    [results] = read(answer.texts)
    assert (results["from_finalize"], results["is_final"], results["speech_final"]) == (True, True, True)
    assert results["channel"]["alternatives"] == [{"transcript": "", "confidence": 0.0, "words": []}]


@pytest.mark.parametrize("message", ['{"type":"CloseStream"}', b""], ids=["CloseStream", "empty message"])
def test_closing_the_stream_stops_the_session_and_what_follows_is_dropped(message: str | bytes) -> None:
    dialect = started()

    found = dialect.on_text(message) if isinstance(message, str) else dialect.on_binary(message)
    assert kinds(found) == [Stop]
    assert dialect.on_binary(b"\1\2") == []
    assert say(dialect, "Finalize") == say(dialect, "KeepAlive") == say(dialect, "CloseStream") == []


def test_closing_before_any_audio_is_answered_with_the_metadata_of_none() -> None:
    answer, stop = say(new_dialect(), "CloseStream")

    assert isinstance(answer, Answer)
    assert stop == Stop()
    [metadata] = read(answer.texts)
    assert (metadata["duration"], metadata["channels"]) == (0.0, 0)
    assert metadata["sha256"] == hashlib.sha256().hexdigest()


def test_closing_after_a_few_bytes_says_what_is_wrong_with_them() -> None:
    dialect = new_dialect("")
    dialect.on_binary(b"\1\2")
    with pytest.raises(BadAudio):
        say(dialect, "CloseStream")
    dialect = new_dialect("")
    dialect.on_binary(b"fLaC")
    assert kinds(say(dialect, "CloseStream")) == [Start, Audio, Stop]


@pytest.mark.parametrize("text", ["", "x", "[]", "{}", '{"type":"Sing"}', '{"type":7}', '{"type":"KeepAlive","n":NaN}'])
def test_a_text_that_is_no_message_is_told_and_repeated_and_harms_nothing(text: str) -> None:
    dialect = started()
    with pytest.raises(BadMessage) as caught:
        dialect.on_text(text)

    assert not dialect.is_fatal(caught.value)
    [error] = told(dialect, events.Failed(caught.value))
    assert (error["variant"], error["message"]) == ("SchemaError", text)
    assert kinds(say(dialect, "Finalize")) == [Finalize]


def test_what_is_repeated_of_a_bad_text_is_bounded() -> None:
    dialect = started()
    with pytest.raises(BadMessage) as caught:
        dialect.on_text("x" * 10_000)

    [error] = told(dialect, events.Failed(caught.value))
    assert len(error["message"]) == MAX_ECHO_CHARACTERS
    with pytest.raises(MessageTooLarge):
        dialect.on_text("x" * (LIMITS.max_text_message_bytes + 1))


def test_other_key_terms_in_the_middle_are_declined() -> None:
    [answer] = say(started(), "Configure", keyterms=["Riva"])

    assert isinstance(answer, Answer)
    [failure] = read(answer.texts)
    assert failure["code"] == "CONFIGURE_KEYTERMS_NOT_SUPPORTED"


@given(st.one_of(st.text(max_size=100), st.dictionaries(st.text(max_size=9), st.integers()).map(json.dumps)))
def test_no_text_does_more_than_be_told(text: str) -> None:
    with pytest.raises(BadMessage):
        started().on_text(text)


# Results out


def test_a_final_says_what_was_said_in_seconds() -> None:
    [results] = told(started(RAW + "&punctuate=true&diarize=true"), events.Final(0, FINAL))

    assert (results["is_final"], results["speech_final"], results["from_finalize"]) == (True, True, False)
    assert (results["start"], results["duration"], results["channel_index"]) == (1.0, 1.0, [0, 1])
    best, other = results["channel"]["alternatives"]
    assert (best["transcript"], best["confidence"]) == ("Hello, World!", 0.85)
    assert best["words"] == [
        {"word": "hello", "start": 1.0, "end": 1.4, "confidence": 0.9, "punctuated_word": "Hello,"},
        {"word": "world", "start": 1.5, "end": 2.0, "confidence": 0.8, "punctuated_word": "World!", "speaker": 1},
    ]
    assert other == {"transcript": "Hello word", "confidence": 0.4, "words": []}
    assert results["metadata"]["request_id"] == SESSION_ID
    assert results["metadata"]["model_info"]["name"] == "tiny-en"


def test_without_punctuation_and_diarization_words_are_bare() -> None:
    [results] = told(started(), events.Final(0, FINAL))

    assert set(results["channel"]["alternatives"][0]["words"][1]) == {"word", "start", "end", "confidence"}


def test_what_a_recogniser_does_not_set_is_a_number_all_the_same() -> None:
    bare = FinalResult(text="hello", start_ms=0, end_ms=500, words=(Word("hello", 0, 500),))

    [results] = told(started(), events.Final(0, bare))

    best = results["channel"]["alternatives"][0]
    assert (best["transcript"], best["confidence"], best["words"][0]["confidence"]) == ("hello", 0.0, 0.0)


def test_interims_carry_words_where_they_are_asked_for() -> None:
    [results] = told(started(RAW + "&interim_results=true"), events.Interim(0, INTERIM))

    assert (results["is_final"], results["speech_final"]) == (False, False)
    assert [word["word"] for word in results["channel"]["alternatives"][0]["words"]] == ["hello"]
    assert told(started(RAW + "&vad_events=true"), events.Interim(0, INTERIM)) == [
        {"type": "SpeechStarted", "channel": [0, 1], "timestamp": 1.0}
    ]


def test_without_endpointing_no_pause_is_the_end_of_speech() -> None:
    [results] = told(started(RAW + "&endpointing=false"), events.Final(0, FINAL))

    assert (results["is_final"], results["speech_final"]) == (True, False)


def test_a_final_that_storage_holds_up_is_told_once() -> None:
    dialect = started()

    assert len(told(dialect, events.Final(0, FINAL, durable=False))) == 1
    assert told(dialect, events.Final(0, FINAL)) == []
    assert len(told(dialect, events.Final(1, FINAL))) == 1


def test_the_final_that_a_finalize_asked_for_says_so() -> None:
    dialect = started(RAW + "&endpointing=false")
    say(dialect, "Finalize")

    [results] = told(dialect, events.Final(0, FINAL))

    assert (results["from_finalize"], results["speech_final"]) == (True, True)
    assert told(dialect, events.UtteranceEnded(2000)) == []


def test_a_finalize_with_nothing_open_is_answered_by_an_empty_result() -> None:
    dialect = started()
    say(dialect, "Finalize")

    [results] = told(dialect, events.UtteranceEnded(2000))

    assert (results["from_finalize"], results["start"], results["duration"]) == (True, 2.0, 0.0)
    assert told(dialect, events.UtteranceEnded(2000)) == []


def test_where_bytes_tell_no_time_a_finalize_waits_for_the_open_words() -> None:
    dialect = new_dialect("encoding=flac&interim_results=true")
    dialect.on_binary(CONTAINERS["FLAC"])
    told(dialect, events.Interim(0, INTERIM))
    say(dialect, "Finalize")

    assert told(dialect, events.UtteranceEnded(0)) == []
    [results] = told(dialect, events.Final(0, FINAL))
    assert results["from_finalize"]


def test_a_finalize_that_the_end_overtakes_is_answered_before_it() -> None:
    dialect = started()
    say(dialect, "Finalize")

    results, metadata = told(dialect, events.Stopped("client", 2000, 64_000, 64_000, 0))

    assert results["from_finalize"]
    assert metadata["type"] == "Metadata"


def test_an_utterance_end_follows_its_silence() -> None:
    dialect = started(RAW + "&interim_results=true&utterance_end_ms=1000")
    told(dialect, events.Final(0, FINAL))

    assert tick(dialect, 2900, 100.1) == []
    assert tick(dialect, 3000, 100.2) == [{"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 2.0}]


def test_the_end_is_told_by_the_metadata() -> None:
    dialect = started(RAW + "&tag=a&extra=call:7&filler_words=true")

    [metadata] = told(dialect, events.Stopped("client", 2000, 64_000, 64_000, 1))

    assert metadata["request_id"] == SESSION_ID
    assert metadata["sha256"] == hashlib.sha256(b"\1\2" * 32_000).hexdigest()
    assert (metadata["duration"], metadata["channels"], metadata["created"]) == (2.0, 1, "2026-08-01T12:00:00.123Z")
    assert list(metadata["model_info"]) == metadata["models"]
    assert (metadata["tags"], metadata["extra"]) == (["a"], {"call": "7"})
    assert [warning["parameter"] for warning in metadata["warnings"]] == ["filler_words"]
    assert (dialect.close_code(None), dialect.close_reason(None)) == (1000, "")


@pytest.mark.parametrize(
    ("error", "code", "reason"),
    [
        (BadAudio("No."), 1008, "DATA-0000"),
        (errors.TimedOutClient("Nothing came."), 1011, "NET-0001"),
        (errors.TimedOutClient("Nothing is read.", reason="slow_reader"), 1008, "slow_reader"),
        (errors.RecogniserSilent("Nothing is said."), 1011, "NET-0000"),
        (errors.RecogniserFailed("Gone."), 1011, "NET-0000"),
        (errors.AtCapacity("Full."), 1013, "at_capacity"),
        (errors.AtCapacity("Updating.", reason="draining"), 1012, "draining"),
        (errors.StorageUnavailable("Broken."), 1013, "storage_unavailable"),
        (errors.NotAuthenticated("Revoked.", reason="revoked"), 1008, "revoked"),
        (errors.StoppedByOperator("Enough."), 1001, "stopped_by_operator"),
        (errors.SessionOver("Over."), 1001, "session_timeout"),
        (errors.MessageTooLarge("Large."), 1009, "message_too_large"),
        (errors.TooFast("Slow down.", reason="monthly_minutes"), 1013, "monthly_minutes"),
        (errors.InternalError("Oh."), 1011, "internal_error"),
    ],
)
def test_every_end_has_a_code_and_a_reason_after_an_error(error: TranscriptionError, code: int, reason: str) -> None:
    dialect = started()

    assert (dialect.close_code(error), dialect.close_reason(error)) == (code, reason)
    [message] = told(dialect, events.Failed(error))
    assert message["description"] == error.message


def test_what_only_other_dialects_say_is_not_said() -> None:
    dialect = started()
    for event in (events.Ack(1, 0, 2), events.AudioWarning("silence"), events.Expiring(1000, "idle_timeout")):
        assert told(dialect, event) == []
