"""Deepgram's dialect, `/v1/listen`. No I/O: the clock, the date and the id of the session are passed in by tests."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from transcription import commands, events
from transcription.audio.formats import AudioFormat, Encoding
from transcription.audio.head import find_format
from transcription.audio.webm_opus import WEBM_MAGIC, WebmOpus
from transcription.commands import Command
from transcription.dialects import listen_messages as messages
from transcription.dialects.base import Denial, DialectLimits, Handshake
from transcription.dialects.listen_errors import Unreadable, build_denial, build_error, close_of
from transcription.dialects.listen_options import ListenOptions, parse_options
from transcription.dialects.listen_results import ResultsBuilder, build_metadata, build_results_metadata
from transcription.dialects.listen_turns import Finalizes, Utterances
from transcription.errors import BadConfig, BadMessage, MessageTooLarge, TimedOutClient, TranscriptionError
from transcription.identity.credentials import header_credential
from transcription.identity.principals import Principal
from transcription.options import parse_config
from transcription.results import InterimResult
from transcription.safe_json import parse_object

NORMAL_CLOSE = 1000
# What Deepgram's clients expect: they send a KeepAlive every few seconds.
SILENCE_TIMEOUT_MS = 10_000
AUDIO_PIECE_BYTES = 64 * 1024
CREDENTIAL_PROTOCOLS = ("token", "bearer")


class ListenDialect:
    """One connection. Its session begins with the first audio, or with a KeepAlive where the format is declared."""

    name = "listen"
    has_credit = False
    can_resume = False
    closing_stops = True

    def __init__(
        self,
        handshake: Handshake,
        *,
        limits: DialectLimits,
        request_id: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._limits = limits
        self._request_id = request_id
        self._subprotocols = handshake.subprotocols
        self._clock = clock
        self._session_id = new_id()
        self._created = now()
        self._refusal: BadConfig | None = None
        try:
            self._options = parse_options(handshake.query)
        except BadConfig as error:
            self._options, self._refusal = ListenOptions(config={}), error
        self._utterances = Utterances(
            utterance_end_ms=self._options.utterance_end_ms, vad_events=self._options.vad_events
        )
        self._finalizes = Finalizes()
        self._model = ""
        self._results = self._make_results()
        self._format: AudioFormat | None = None
        self._head = b""
        self._webm: WebmOpus | None = None
        self._digest = hashlib.sha256()
        self._received_bytes = 0
        self._next_segment = 0
        self._is_closing = False

    # The handshake

    @staticmethod
    def credential_of(headers: Mapping[str, str], subprotocols: Sequence[str]) -> str | None:
        """`Authorization: Token KEY` or `Bearer KEY`, or the subprotocols `token, KEY`."""
        for scheme in ("Token", "Bearer"):
            credential = header_credential(headers, scheme=scheme)
            if credential is not None:
                return credential
        return subprotocols[1] if len(subprotocols) > 1 and subprotocols[0] in CREDENTIAL_PROTOCOLS else None

    @property
    def session_id(self) -> str:
        return self._session_id

    @property
    def subprotocol(self) -> str | None:
        """The name alone: what follows it is a key."""
        first = next(iter(self._subprotocols), None)
        return first if first in CREDENTIAL_PROTOCOLS else None

    @property
    def start_timeout_ms(self) -> int:
        return min(SILENCE_TIMEOUT_MS, self._limits.start_timeout_ms)

    @property
    def idle_timeout_ms(self) -> int:
        return min(SILENCE_TIMEOUT_MS, self._limits.idle_timeout_ms)

    def refusal(self) -> TranscriptionError | None:
        return self._refusal

    @property
    def wish(self) -> dict[str, Any]:
        return self._options.config

    def denial(self, error: TranscriptionError) -> Denial | None:
        return build_denial(error, self._request_id)

    def opened(self, _principal: Principal) -> Sequence[str]:
        return []

    # Reading

    def on_binary(self, chunk: bytes) -> Sequence[Command]:
        if self._is_closing:
            return []
        if not chunk:
            return self._close_stream()
        self._digest.update(chunk)
        self._received_bytes += len(chunk)
        if self._format is not None:
            return self._audio(chunk)
        self._head += chunk
        self._format = self._find_format(last=False)
        if self._format is None:
            return []
        head, self._head = self._head, b""
        return [self._start(self._format), *self._audio(head)]

    def _find_format(self, *, last: bool) -> AudioFormat | None:
        if self._options.has_format:
            return parse_config(self._options.config).audio_format
        if self._head.startswith(WEBM_MAGIC):
            self._webm = WebmOpus()
            return AudioFormat(Encoding.OGGOPUS)
        return find_format(self._head, last=last)

    def _audio(self, chunk: bytes) -> list[Command]:
        """In pieces that fit into what may wait to be heard."""
        if self._webm is not None:
            chunk = self._webm.feed(chunk)
        pieces = (chunk[start : start + AUDIO_PIECE_BYTES] for start in range(0, len(chunk), AUDIO_PIECE_BYTES))
        return [commands.Audio(piece) for piece in pieces]

    def _start(self, audio_format: AudioFormat) -> Command:
        self._format = audio_format
        declared = {
            "encoding": str(audio_format.encoding),
            "sample_rate_hertz": audio_format.sample_rate_hz,
            "audio_channel_count": audio_format.channels,
        }
        return commands.Start(self._options.config | declared)

    def on_text(self, text: str) -> Sequence[Command]:
        if len(text) > self._limits.max_text_message_bytes:
            raise MessageTooLarge(f"Text messages may have at most {self._limits.max_text_message_bytes} bytes.")
        message = _parse(text)
        if self._is_closing:
            return []
        match message:
            case messages.KeepAlive():
                return self._keep_alive()
            case messages.Finalize():
                return self._finalize()
            case messages.CloseStream():
                return self._close_stream()
        refusal = messages.ConfigureFailure(
            request_id=self._session_id,
            description="Key terms stand in the address; open another connection for others.",
        )
        return [commands.Answer([messages.build_text(refusal)])]

    def _keep_alive(self) -> Sequence[Command]:
        if self._format is None and self._options.has_format:
            audio_format = self._find_format(last=False)
            assert audio_format is not None  # noqa: S101 - it is declared
            return [self._start(audio_format), commands.KeepAlive()]
        return [commands.KeepAlive()]

    def _finalize(self) -> Sequence[Command]:
        if self._format is None:
            return [commands.Answer([self._results.build_empty(0)])]
        self._finalizes.ask(self._received_ms)
        return [commands.Finalize()]

    def _close_stream(self) -> Sequence[Command]:
        self._is_closing = True
        if self._format is not None:
            return [commands.Stop()]
        if self._head:
            # Raises BadAudio unless these few bytes say what they are.
            audio_format = self._find_format(last=True)
            if audio_format is not None:
                return [self._start(audio_format), *self._audio(self._head), commands.Stop()]
        return [commands.Answer([self._metadata(0)]), commands.Stop()]

    @property
    def _received_ms(self) -> int | None:
        """A WAV header counts as audio: a millisecond."""
        if self._format is None or not self._format.has_constant_rate:
            return None
        return self._format.bytes_to_ms(self._received_bytes)

    def start_timed_out(self) -> TranscriptionError:
        return TimedOutClient("Neither audio nor a KeepAlive came in time.", reason="start_timeout")

    def is_fatal(self, error: TranscriptionError) -> bool:
        return not isinstance(error, BadMessage)

    # Writing

    def render(self, event: events.Event) -> Sequence[str]:
        match event:
            case events.Interim():
                return self._interim(event.result)
            case events.Final():
                return self._final(event)
            case events.Answered():
                return event.texts
            case events.Started():
                self._model = event.model
                self._results = self._make_results()
            case events.UtteranceEnded():
                return self._nothing_more(event.end_ms)
            case events.Stopped():
                rest = [self._results.build_empty(event.audio_ms)] if self._finalizes.end() else []
                return [*rest, self._metadata(event.audio_ms)]
            case events.Failed():
                return [build_error(event.error)]
        return []

    def _interim(self, result: InterimResult) -> Sequence[str]:
        said = [messages.build_text(message) for message in self._utterances.heard(result, self._clock())]
        return [*said, self._results.build(result)] if self._options.interim_results else said

    def _final(self, event: events.Final) -> Sequence[str]:
        if event.segment < self._next_segment:
            # Told before it was durable: Deepgram's clients know no second telling.
            return []
        self._next_segment = event.segment + 1
        result = event.result
        said = [messages.build_text(message) for message in self._utterances.heard(result, self._clock())]
        from_finalize = self._finalizes.heard(result)
        ends = from_finalize or (self._options.ends_utterances and not event.tail)
        return [*said, self._results.build(result, speech_final=ends, from_finalize=from_finalize)]

    def _nothing_more(self, end_ms: int) -> Sequence[str]:
        """What answers a `Finalize` that no final has answered."""
        if self._received_ms is None and self._utterances.is_open:
            # Bytes tell no time, so the end may be told before the words.
            return []
        return [self._results.build_empty(end_ms)] if self._finalizes.ended(end_ms) else []

    def tick(self, *, heard_ms: int, now_s: float) -> Sequence[str]:
        said = self._utterances.tick(heard_ms=heard_ms, received_ms=self._received_ms, now_s=now_s)
        return [messages.build_text(message) for message in said]

    def _make_results(self) -> ResultsBuilder:
        return ResultsBuilder(
            build_results_metadata(self._session_id, self._model),
            punctuated=self._options.punctuated,
            diarized=self._options.diarized,
        )

    def _metadata(self, audio_ms: int) -> str:
        metadata = build_metadata(
            self._options,
            session_id=self._session_id,
            model=self._model,
            sha256=self._digest.hexdigest(),
            created=self._created,
            audio_ms=audio_ms,
            channels=self._format.channels if self._format is not None else 0,
        )
        return messages.build_text(metadata)

    def close_code(self, error: TranscriptionError | None) -> int:
        return NORMAL_CLOSE if error is None else close_of(error)[0]

    def close_reason(self, error: TranscriptionError | None) -> str:
        return "" if error is None else close_of(error)[1]


def _parse(text: str) -> messages.ClientMessage:
    try:
        return messages.CLIENT_MESSAGE.validate_python(parse_object(text))
    except BadMessage as error:
        raise Unreadable(error.message, text=text) from None
    except ValidationError:
        known = ", ".join(messages.CLIENT_MESSAGE_TYPES)
        raise Unreadable(f"type must be one of {known}.", text=text) from None
