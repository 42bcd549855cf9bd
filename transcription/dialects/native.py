"""The native protocol `speech.v1`. No I/O."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from transcription import commands, events
from transcription.commands import Command
from transcription.dialects import native_messages as messages
from transcription.dialects.base import Denial, DialectLimits, Handshake
from transcription.errors import BadMessage, MessageTooLarge, TimedOutClient, TranscriptionError
from transcription.identity.credentials import native_credential
from transcription.identity.principals import Principal
from transcription.options import is_session_id
from transcription.results import FinalResult, InterimResult, Word
from transcription.safe_json import parse_object

NORMAL_CLOSE = 1000
MAX_STRIKES = 3
# Of a field's name when it is told what is wrong with it: names come from the client.
MAX_FIELD_CHARACTERS = 100
# Base64 takes 4 bytes for 3; the rest is the message around it.
AUDIO_TEXT_SHARE = 1.5

# A text as JSON; what the encoder below does with one, without the way there.
_quote: Callable[[str], str] = json.encoder.encode_basestring
_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


class NativeDialect:
    """One connection's grammar: what is legal now, and how events are said."""

    __slots__ = (
        "_limits",
        "_offered",
        "_request_id",
        "_session_id",
        "_start_seen",
        "_started",
        "_stop_seen",
        "_strikes",
        "_words_in_interims",
    )

    name = "native"
    has_credit = True
    can_resume = True
    closing_stops = False

    def __init__(self, handshake: Handshake, *, limits: DialectLimits, request_id: str) -> None:
        self._session_id = handshake.session_id
        self._limits = limits
        self._request_id = request_id
        self._offered = handshake.subprotocols
        self._start_seen = False
        self._started = False
        self._stop_seen = False
        self._strikes = 0
        self._words_in_interims = False

    @staticmethod
    def credential_of(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
        return native_credential(headers, subprotocols)

    @property
    def session_id(self) -> str:
        return self._session_id

    @property
    def subprotocol(self) -> str | None:
        return messages.PROTOCOL if messages.PROTOCOL in self._offered else None

    @property
    def start_timeout_ms(self) -> int:
        return self._limits.start_timeout_ms

    @property
    def idle_timeout_ms(self) -> int:
        return self._limits.idle_timeout_ms

    def refusal(self) -> TranscriptionError | None:
        if is_session_id(self._session_id):
            return None
        return BadMessage(
            "A session id has 1 to 64 letters, digits, _ or -.", reason="bad_session_id", field="session_id"
        )

    def denial(self, _error: TranscriptionError) -> Denial | None:
        """Never: a browser cannot read the status of a handshake."""

    def opened(self, _principal: Principal) -> Sequence[str]:
        limits = self._limits
        return _texts(
            messages.SessionCreated(
                session_id=self._session_id,
                limits=messages.Limits(
                    max_audio_bytes=limits.max_audio_message_bytes,
                    max_text_bytes=limits.max_text_message_bytes,
                    max_messages_per_second=limits.max_messages_per_second,
                    start_timeout_ms=limits.start_timeout_ms,
                    idle_timeout_ms=limits.idle_timeout_ms,
                    session_timeout_ms=limits.session_timeout_ms,
                    resume_window_ms=limits.resume_window_ms,
                    max_sessions=limits.max_sessions,
                ),
            )
        )

    # Reading

    def on_binary(self, chunk: bytes) -> Sequence[Command]:
        if len(chunk) > self._limits.max_audio_message_bytes:
            raise self._too_large("Audio", self._limits.max_audio_message_bytes)
        return self._audio(chunk)

    def is_plain_audio(self, size_bytes: int) -> bool:
        return self._start_seen and not self._stop_seen and size_bytes <= self._limits.max_audio_message_bytes

    def on_text(self, text: str) -> Sequence[Command]:
        size = len(text.encode("utf-8", "surrogatepass"))
        if size > self._limits.max_audio_message_bytes * AUDIO_TEXT_SHARE:
            raise self._too_large("Text", self._limits.max_text_message_bytes)
        message = _parse(text)
        if size > self._limits.max_text_message_bytes and not isinstance(message, messages.AudioMessage):
            raise self._too_large("Text", self._limits.max_text_message_bytes)
        return self._command(message)

    def _command(self, message: messages.ClientMessage) -> Sequence[Command]:
        match message:
            case messages.StartTranscription():
                if self._start_seen:
                    raise BadMessage("The transcription was started already.", reason="already_started")
                self._start_seen = True
                return [commands.Start(message.config)]
            case messages.ResumeTranscription():
                if self._start_seen:
                    raise BadMessage("The transcription was started already.", reason="already_started")
                self._start_seen = True
                return [commands.Resume(message.resume_token, message.received_segments, message.held_from)]
            case messages.AudioMessage():
                chunk = _decode(message.audio)
                if len(chunk) > self._limits.max_audio_message_bytes:
                    raise self._too_large("Audio", self._limits.max_audio_message_bytes)
                return self._audio(chunk)
            case messages.KeepAlive():
                return [commands.KeepAlive()]
        if not self._start_seen:
            raise BadMessage(f"{message.type} came before start_transcription.", reason="not_started")
        if self._stop_seen:
            return []
        if isinstance(message, messages.StopTranscription):
            self._stop_seen = True
            return [commands.Stop()]
        return [commands.Finalize()]

    def _audio(self, chunk: bytes) -> Sequence[Command]:
        if not self._start_seen:
            raise BadMessage("Audio came before start_transcription.", reason="not_started")
        return [] if self._stop_seen else [commands.Audio(chunk)]

    def _too_large(self, what: str, limit_bytes: int) -> MessageTooLarge:
        return MessageTooLarge(f"{what} messages may have at most {limit_bytes} bytes.")

    def start_timed_out(self) -> TranscriptionError:
        return TimedOutClient("No start_transcription came in time.", reason="start_timeout")

    def is_fatal(self, error: TranscriptionError) -> bool:
        if not isinstance(error, BadMessage):
            return True
        self._strikes += 1
        return not self._started or self._strikes >= MAX_STRIKES

    # Writing

    def render(self, event: events.Event) -> Sequence[str]:
        match event:
            case events.Interim():
                return [_interim(event, self._words_in_interims)]
            case events.Final():
                return [_final(event)]
            case events.Ack():
                return _texts(messages.AudioAck(received=event.received, safe=event.safe, limit=event.limit))
            case events.Started():
                self._started = True
                self._words_in_interims = event.config.words_in_interims
                return _texts(
                    messages.TranscriptionStarted(
                        session_id=event.session_id,
                        config=event.config,
                        resume_token=event.resume_token,
                        resumable=event.resume_token is not None,
                    )
                )
            case events.Resumed():
                self._started = True
                self._words_in_interims = event.config.words_in_interims
                return _resumed(event)
            case events.Failed():
                return _texts(_error(event, self._request_id))
            case events.Answered():
                return event.texts
            case events.UtteranceEnded():
                # Its clients see it from the final.
                return ()
            case _:
                return _texts(_notice(event))

    def close_code(self, error: TranscriptionError | None) -> int:
        return NORMAL_CLOSE if error is None else error.code

    def close_reason(self, _error: TranscriptionError | None) -> str:
        return ""


def _texts(*models: BaseModel) -> list[str]:
    return [model.model_dump_json() for model in models]


def _parse(text: str) -> messages.ClientMessage:
    data = parse_object(text)
    try:
        return messages.CLIENT_MESSAGE.validate_python(data)
    except ValidationError as error:
        raise _bad_message(data, error) from None


def _bad_message(data: dict[str, Any], error: ValidationError) -> BadMessage:
    problem = error.errors(include_url=False)[0]
    kind = problem["type"]
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        known = ", ".join(sorted(messages.CLIENT_MESSAGE_TYPES))
        return BadMessage(f"type must be one of {known}.", reason="unknown_type", field="type")
    # The first part of the path is the tag of the union.
    field = ".".join(str(part) for part in problem["loc"][1:])[:MAX_FIELD_CHARACTERS] or None
    reason = "unknown_field" if kind == "extra_forbidden" else "bad_field"
    return BadMessage(f"{data.get('type')}: {field}: {problem['msg']}.", reason=reason, field=field)


def _decode(audio: str) -> bytes:
    try:
        return base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise BadMessage("audio is not base64.", reason="bad_field", field="audio") from None


def _transcript(segment: int, result: InterimResult | FinalResult, words: Sequence[Word]) -> dict[str, Any]:
    """A messages.Transcript as plain values: the model itself takes twice the time, and ten of these come a second."""
    is_final = isinstance(result, FinalResult)
    return {
        "event": "transcript",
        "segment": segment,
        "is_final": is_final,
        "text": result.text,
        "start_ms": result.start_ms,
        "end_ms": result.end_ms,
        "confidence": result.confidence if isinstance(result, FinalResult) else None,
        "stability": result.stability if isinstance(result, InterimResult) else None,
        "words": [
            {
                "word": word.word,
                "start_ms": word.start_ms,
                "end_ms": word.end_ms,
                "confidence": word.confidence,
                "speaker": word.speaker,
            }
            for word in words
        ],
        "alternatives": [{"text": item.text, "confidence": item.confidence} for item in result.alternatives],
        "channel": result.channel,
        "language": result.language,
        "durable": None,
        "tail": None,
    }


def _interim(event: events.Interim, with_words: bool) -> str:
    """The text of an interim, put together by hand: an encoder takes three times as long, and this is what is said
    most. Tests hold it to its model.
    """
    result = event.result
    if with_words and result.words:
        return _encode(_transcript(event.segment, result, result.words))
    text = _quote(result.text)
    alternatives = []
    for item in result.alternatives:
        said = text if item.text == result.text else _quote(item.text)
        alternatives.append(f'{{"text":{said},"confidence":{_value(item.confidence)}}}')
    return (
        f'{{"event":"transcript","segment":{event.segment},"is_final":false,"text":{text},"start_ms":{result.start_ms},'
        f'"end_ms":{result.end_ms},"confidence":null,"stability":{_value(result.stability)},"words":[],'
        f'"alternatives":[{",".join(alternatives)}],"channel":{_value(result.channel)},"language":{_value(result.language)},'
        '"durable":null,"tail":null}'
    )


def _value(value: float | str | None) -> str:
    if value is None:
        return "null"
    return _quote(value) if isinstance(value, str) else repr(value)


def _final(event: events.Final) -> str:
    told = {"durable": event.durable, "tail": event.tail}
    return _encode(_transcript(event.segment, event.result, event.result.words) | told)


def _resumed(event: events.Resumed) -> list[str]:
    said: list[BaseModel] = [
        messages.TranscriptionResumed(
            session_id=event.session_id, audio_offset=event.audio_offset, next_segment=event.next_segment
        )
    ]
    if event.withdrawn:
        said.append(messages.Revised(from_segment=event.next_segment))
    return [*_texts(*said), *map(_final, event.finals)]


def _error(event: events.Failed, request_id: str) -> messages.ErrorMessage:
    error = event.error
    return messages.ErrorMessage(
        code=error.code,
        reason=error.reason,
        message=error.message,
        retryable=error.retryable,
        retry_after_ms=error.retry_after_ms,
        field=error.field,
        request_id=request_id,
        safe=event.safe,
    )


def _notice(event: events.Event) -> BaseModel:
    match event:
        case events.RecogniserStatus():
            return messages.RecogniserStatusMessage(state=event.state, lag_ms=event.lag_ms)
        case events.AudioWarning():
            return messages.AudioWarningMessage(code=event.code)
        case events.Expiring():
            return messages.SessionExpiring(
                in_ms=event.in_ms, reason=event.reason, resume_elsewhere=event.resume_elsewhere
            )
        case events.Stopped():
            return messages.TranscriptionStopped(
                reason=event.reason,
                audio_ms=event.audio_ms,
                received=event.received,
                safe=event.safe,
                segments=event.segments,
                gaps=[messages.GapItem(start_ms=start_ms, end_ms=end_ms) for start_ms, end_ms in event.gaps],
            )
    raise TypeError(f"{event!r} has no message")
