"""`/v1/realtime?intent=transcription`: the protocol of OpenAI's and NVIDIA's realtime clients. No I/O."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs

from transcription import commands, events
from transcription.audio.formats import AudioFormat
from transcription.audio.head import CONTAINER_MAGIC, MAGIC_BYTES, find_format
from transcription.commands import Command
from transcription.dialects import realtime_errors as errors
from transcription.dialects.base import Denial, DialectLimits, Handshake
from transcription.dialects.realtime_errors import ClientEventError
from transcription.dialects.realtime_messages import Messages
from transcription.dialects.realtime_nvidia import NvidiaTeller
from transcription.dialects.realtime_openai import OpenAiTeller
from transcription.dialects.realtime_secrets import NVIDIA_PREFIX, offered_credential, session_of, token_of
from transcription.dialects.realtime_settings import (
    NVIDIA_RATE_HZ,
    RealtimeSettings,
    check,
    client_name,
    merge,
    parse_session,
    unknown_field,
)
from transcription.engine.timeouts import PAUSED_TIMEOUT_S
from transcription.errors import (
    BadConfig,
    BadMessage,
    MessageTooLarge,
    TimedOutClient,
    TranscriptionError,
)
from transcription.identity.principals import Principal
from transcription.safe_json import parse_object

INTENT = "transcription"
SUBPROTOCOL = "realtime"
SESSION_PREFIX = "sess_"
BETA_HEADER, BETA_SUBPROTOCOL = "realtime=v1", "openai-beta.realtime-v1"
MAX_APPEND_BYTES = 1024 * 1024
# Base64 takes 4 bytes for 3; the rest is the event around it.
MAX_APPEND_CHARACTERS = MAX_APPEND_BYTES // 3 * 4 + 4096
MAX_EVENT_CHARACTERS = 64 * 1024
# A chunk must fit into what may be held ahead, which is 80 s of audio.
PIECE_BYTES = 64 * 1024
MAX_ECHO_CHARACTERS = 100
UPDATES = {"session.update": "session.updated", "transcription_session.update": "transcription_session.updated"}
TRUE_TEXTS = (True, "true", "True", "1", 1)


class RealtimeDialect:
    """One connection's grammar.

    Both clients read before they write, so they are told apart in the handshake: NVIDIA's offers its client secret in
    a subprotocol of its own. The session starts with the first audio: until then its settings may change.
    """

    name = "realtime"
    has_credit = False
    can_resume = False
    closing_stops = True

    def __init__(self, handshake: Handshake, *, limits: DialectLimits, request_id: str) -> None:
        self._handshake = handshake
        self._request_id = request_id
        self._is_nvidia = any(offered.startswith(NVIDIA_PREFIX) for offered in handshake.subprotocols)
        beta = handshake.headers.get("openai-beta", "")
        self._is_beta = BETA_HEADER in beta or BETA_SUBPROTOCOL in handshake.subprotocols
        self._settings = _initial_settings(handshake, is_nvidia=self._is_nvidia)
        self._name_session(SESSION_PREFIX + secrets.token_hex(12))
        # What the recogniser was started with; None before the first audio.
        self._started: dict[str, Any] | None = None
        self._format = self._settings.declared_format
        # The first bytes of a file, until they say what it is.
        self._head = b""
        self._received = 0
        self._committed = 0
        self._stop_seen = False

    # The handshake

    @staticmethod
    def credential_of(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
        credential = offered_credential(headers, subprotocols)
        return None if credential is None else token_of(credential)

    @property
    def session_id(self) -> str:
        return self._session_id

    @property
    def subprotocol(self) -> str | None:
        return SUBPROTOCOL if SUBPROTOCOL in self._handshake.subprotocols else None

    @property
    def start_timeout_ms(self) -> int:
        """As long as a muted client may be silent: that it lives is seen from its pongs."""
        return round(PAUSED_TIMEOUT_S * 1000)

    @property
    def idle_timeout_ms(self) -> int:
        return round(PAUSED_TIMEOUT_S * 1000)

    def refusal(self) -> TranscriptionError | None:
        asked = parse_qs(self._handshake.query).get("intent", [INTENT])
        if asked == [INTENT]:
            return None
        return BadMessage(f"The only intent served here is {INTENT}.", reason="unknown_intent", field="intent")

    def denial(self, error: TranscriptionError) -> Denial | None:
        from_page = "origin" in self._handshake.headers
        return errors.denial(error, from_page=from_page, request_id=self._request_id)

    def opened(self, principal: Principal) -> Sequence[str]:
        if principal.session_id is not None:
            self._name_session(principal.session_id)
        return self._teller.opened(self._session(is_older_shape=self._is_beta))

    def _name_session(self, session_id: str) -> None:
        self._session_id = session_id
        self._messages = Messages(session_id.removeprefix(SESSION_PREFIX))
        self._teller: NvidiaTeller | OpenAiTeller = (
            NvidiaTeller(self._messages)
            if self._is_nvidia
            else OpenAiTeller(self._messages, turn_detection=self._settings.turn_detection, is_beta=self._is_beta)
        )

    def _session(self, *, is_older_shape: bool) -> dict[str, Any]:
        if is_older_shape:
            return self._settings.as_transcription_session(self._session_id)
        return self._settings.as_session(self._session_id)

    # Reading

    def on_binary(self, _chunk: bytes) -> Sequence[Command]:
        raise ClientEventError(
            "Audio comes as base64 in input_audio_buffer.append, not in binary messages.", reason="binary_message"
        )

    def on_text(self, text: str) -> Sequence[Command]:
        if len(text) > MAX_APPEND_CHARACTERS:
            raise MessageTooLarge(f"An append may have at most {MAX_APPEND_BYTES} bytes of audio.", field="audio")
        try:
            data = parse_object(text)
        except BadMessage as error:
            raise ClientEventError(error.message, reason="invalid_json") from None
        kind = data.get("type")
        if len(text) > MAX_EVENT_CHARACTERS and kind != "input_audio_buffer.append":
            raise MessageTooLarge(f"An event without audio may have at most {MAX_EVENT_CHARACTERS} characters.")
        try:
            return self._command(kind, data)
        except ClientEventError as error:
            event_id = data.get("event_id")
            error.event_id = event_id[:MAX_ECHO_CHARACTERS] if isinstance(event_id, str) else None
            raise

    def _command(self, kind: Any, data: dict[str, Any]) -> Sequence[Command]:
        if self._stop_seen:
            return []
        match kind:
            case "input_audio_buffer.append":
                return self._append(data)
            case "input_audio_buffer.commit":
                return self._commit()
            case "input_audio_buffer.clear":
                return self._clear()
            case "input_audio_buffer.done":
                self._stop_seen = True
                return [*self._start(last=True), commands.Stop()]
            case "session.update" | "transcription_session.update":
                return [self._update(UPDATES[kind], data.get("session"))]
        raise ClientEventError(
            f"There is no event {str(kind)[:MAX_ECHO_CHARACTERS]!r} for a transcription session.",
            reason="unknown_event",
            field="type",
        )

    # Settings

    def _update(self, answer: str, session: Any) -> Command:
        if not isinstance(session, dict):
            raise ClientEventError("session must be an object.", reason="invalid_value", field="session")
        try:
            asked = parse_session(session)
            merged = merge(self._settings, asked)
        except BadConfig as error:
            raise ClientEventError(error.message, reason="invalid_value", field=error.field) from None
        if not self._is_nvidia and (unknown := unknown_field(asked)):
            raise ClientEventError(f"Unknown parameter: {unknown}.", reason="unknown_parameter", field=unknown)
        if self._started is not None and (changed := self._changed(merged)):
            raise ClientEventError(
                f"{changed} cannot change once audio has come; connect again for that.",
                reason="session_started",
                field=changed,
            )
        self._settings = merged
        if isinstance(self._teller, OpenAiTeller):
            self._teller.turn_detection = merged.turn_detection
        told = self._session(is_older_shape=answer == "transcription_session.updated")
        return commands.Answer([self._messages.event(answer, session=told)])

    def _changed(self, merged: RealtimeSettings) -> str | None:
        """What of the recogniser's options would change, by the client's name of it."""
        before, after = self._settings.options(), merged.options()
        return next((client_name(name) for name in after if after[name] != before[name]), None)

    # Audio

    def _append(self, data: dict[str, Any]) -> Sequence[Command]:
        chunk = _decode(data.get("audio"))
        ends_utterance = self._force_eou(data.get("runtime_config"))
        self._received += len(chunk)
        found = self._take(chunk)
        if ends_utterance and self._started is not None:
            found.append(commands.Finalize())
        # A chunk that tells nothing yet is audio nevertheless.
        return found or [commands.Answer((), is_free=True)]

    def _force_eou(self, runtime_config: Any) -> bool:
        """NVIDIA's way to end an utterance behind a chunk."""
        if not isinstance(runtime_config, dict) or not self._is_nvidia:
            if runtime_config is None:
                return False
            raise ClientEventError(
                "Unknown parameter: runtime_config.", reason="unknown_parameter", field="runtime_config"
            )
        return runtime_config.get("force_eou") in TRUE_TEXTS

    def _take(self, chunk: bytes) -> list[Command]:
        if self._started is not None:
            return _pieces(chunk)
        self._head += chunk
        return self._start(last=False)

    def _start(self, *, last: bool) -> list[Command]:
        """Start the session with the audio that is there, once it is clear what it is. last: no more will come."""
        if self._started is not None or not (self._head or last):
            return []
        self._format = self._settings.declared_format
        if self._settings.format == "none":
            found = _format_of_file(self._head, self._settings.declared_format, last=last)
            if found is None:
                return []
            self._format = found
        self._started = self._settings.options(self._format)
        head, self._head = self._head, b""
        return [commands.Start(self._started), *_pieces(head)]

    def _commit(self) -> Sequence[Command]:
        if isinstance(self._teller, NvidiaTeller):
            return [commands.Answer(self._teller.committed(self._position_ms), is_free=True)]
        if not self._has_uncommitted:
            raise ClientEventError("There is no audio to commit.", reason="input_audio_buffer_commit_empty")
        started = self._start(last=True)
        return [*started, *self._end_item(self._teller.committed(self._position_ms))]

    def _clear(self) -> Sequence[Command]:
        if not self._has_uncommitted:
            return [commands.Answer(self._teller.cleared(None))]
        started = self._start(last=True)
        return [*started, *self._end_item(self._teller.cleared(self._position_ms))]

    def _end_item(self, answer: Sequence[str]) -> Sequence[Command]:
        self._committed = self._received
        return [commands.Answer(answer), commands.Finalize()]

    @property
    def _has_uncommitted(self) -> bool:
        return self._received > self._committed

    @property
    def _position_ms(self) -> int:
        return self._format.bytes_to_ms(self._received)

    # What goes wrong

    def start_timed_out(self) -> TranscriptionError:
        return TimedOutClient("No audio came in time.", reason="start_timeout")

    def is_fatal(self, error: TranscriptionError) -> bool:
        return not isinstance(error, ClientEventError)

    def close_code(self, error: TranscriptionError | None) -> int:
        return errors.close_code(error)

    def close_reason(self, error: TranscriptionError | None) -> str:
        return "" if error is None else errors.error_code(error)

    # Writing

    def render(self, event: events.Event) -> Sequence[str]:
        match event:
            case events.Interim():
                return self._teller.interim(event)
            case events.Final():
                return self._teller.final(event)
            case events.UtteranceEnded():
                return self._teller.utterance_ended()
            case events.Answered():
                return event.texts
            case events.Stopped():
                return self._teller.stopped(event)
            case events.Failed():
                return self._failed(event.error)
        # The clients know of nothing like the rest: credit, warnings, the recogniser's state.
        return ()

    def _failed(self, error: TranscriptionError) -> Sequence[str]:
        if isinstance(error, ClientEventError):
            return [self._messages.event("error", error=errors.error_object(error))]
        return self._teller.failed(error)


def _initial_settings(handshake: Handshake, *, is_nvidia: bool) -> RealtimeSettings:
    """Those beside the client secret that was offered, on top of what the client takes for granted."""
    usual = RealtimeSettings(sample_rate_hz=NVIDIA_RATE_HZ) if is_nvidia else RealtimeSettings()
    asked = session_of(offered_credential(handshake.headers, handshake.subprotocols))
    try:
        settings = merge(usual, parse_session(asked))
        check(settings)
    except BadConfig:
        # Checked when the secret was made; whoever changed it since gets the usual ones.
        return usual
    return settings


def _format_of_file(head: bytes, declared: AudioFormat, *, last: bool) -> AudioFormat | None:
    """What a file says it is; without a header it is what was declared. None while more is needed. Raises BadAudio."""
    if len(head) < MAGIC_BYTES and not last:
        return None
    if head.startswith((b"RIFF", *CONTAINER_MAGIC.values())):
        return find_format(head, last=last)
    return declared


def _pieces(chunk: bytes) -> list[Command]:
    return [commands.Audio(chunk[start : start + PIECE_BYTES]) for start in range(0, len(chunk), PIECE_BYTES)]


def _decode(audio: Any) -> bytes:
    if not isinstance(audio, str):
        raise ClientEventError("audio must be base64 text.", reason="invalid_value", field="audio")
    try:
        chunk = base64.b64decode(audio, validate=True)
    except (binascii.Error, ValueError):
        raise ClientEventError("audio is not base64.", reason="invalid_value", field="audio") from None
    if len(chunk) > MAX_APPEND_BYTES:
        raise MessageTooLarge(f"An append may have at most {MAX_APPEND_BYTES} bytes of audio.", field="audio")
    return chunk
