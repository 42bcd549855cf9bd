"""What every gRPC status of a recogniser means to a client of ours.

A status means one thing while a stream opens (nothing has been answered yet) and another in its middle, so
each phase has its own complete table. Text from the recogniser is shown only where it tells the client what
to change, and then cleaned.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from grpc import StatusCode

from transcription.errors import (
    AtCapacity,
    BadAudio,
    BadConfig,
    RecogniserFailed,
    RecogniserSilent,
    TranscriptionError,
)

MAX_UPSTREAM_TEXT_CHARACTERS = 200
MIN_SECRET_CHARACTERS = 4
BUSY_AT_OPEN_RETRY_MS = 5000
BUSY_IN_STREAM_RETRY_MS = 1000


class Phase(StrEnum):
    """Opening lasts until the first response: only then has the recogniser shown that it took the config."""

    OPENING = "opening"
    STREAMING = "streaming"


@dataclass(frozen=True, slots=True)
class Rule:
    """What to raise. retryable None: the default of the error. quotes: the recogniser's text is appended."""

    error: type[TranscriptionError]
    reason: str
    message: Promise | str
    retryable: bool | None = None
    retry_after_ms: int | None = None
    field: str | None = None
    quotes: bool = False


ENDED = Rule(RecogniserFailed, "recogniser_ended", _("The recogniser ended the stream too early."))
CANCELLED = Rule(RecogniserFailed, "recogniser_ended", _("The recogniser broke the stream off."))
UNREACHABLE = Rule(RecogniserFailed, "recogniser_unreachable", _("The recogniser cannot be reached."))
BROKEN = Rule(RecogniserFailed, "recogniser_failed", _("The recogniser failed."))
REFUSED = Rule(RecogniserFailed, "recogniser_refused", _("The recogniser refused to continue."), retryable=False)
UNSUITABLE = Rule(
    RecogniserFailed,
    "recogniser_unsuitable",
    _("The recogniser does not offer streaming recognition."),
    retryable=False,
)
MISCONFIGURED = Rule(
    RecogniserFailed,
    "recogniser_not_found",
    _("The recogniser that this service is set up for does not exist."),
    retryable=False,
)
CREDENTIALS = Rule(
    RecogniserFailed,
    "recogniser_credentials",
    _("The recogniser does not accept the credentials of this service."),
    retryable=False,
)
BUSY = Rule(
    AtCapacity,
    "recogniser_busy",
    _("The recogniser takes no more streams at the moment."),
    retry_after_ms=BUSY_AT_OPEN_RETRY_MS,
)
BUSY_IN_STREAM = Rule(
    RecogniserFailed,
    "recogniser_busy",
    _("The recogniser is overloaded."),
    retry_after_ms=BUSY_IN_STREAM_RETRY_MS,
)
BAD_OPTIONS = Rule(BadConfig, "bad_config", _("The recogniser refused the options"), quotes=True)
BAD_AUDIO = Rule(BadAudio, "bad_audio", _("The recogniser cannot decode the audio"), quotes=True)
UNKNOWN_MODEL = Rule(
    BadConfig, "unknown_model", _("The recogniser does not have this model"), field="config.model", quotes=True
)
SLOW_TO_OPEN = Rule(RecogniserSilent, "recogniser_silent", _("The recogniser did not answer in time."))
DEADLINE = Rule(RecogniserFailed, "recogniser_deadline", _("The recogniser's time for one stream is over."))
GOODBYE = Rule(RecogniserFailed, "recogniser_goaway", _("The recogniser closes its connections."))
LOST_SEQUENCE = Rule(RecogniserFailed, "recogniser_sequence", _("The recogniser let go of an idle stream."))

OPENING: Mapping[StatusCode, Rule] = MappingProxyType(
    {
        StatusCode.OK: ENDED,
        StatusCode.CANCELLED: CANCELLED,
        StatusCode.UNKNOWN: BROKEN,
        StatusCode.INVALID_ARGUMENT: BAD_OPTIONS,
        StatusCode.DEADLINE_EXCEEDED: SLOW_TO_OPEN,
        StatusCode.NOT_FOUND: UNKNOWN_MODEL,
        StatusCode.ALREADY_EXISTS: BROKEN,
        StatusCode.PERMISSION_DENIED: CREDENTIALS,
        StatusCode.UNAUTHENTICATED: CREDENTIALS,
        StatusCode.RESOURCE_EXHAUSTED: BUSY,
        StatusCode.FAILED_PRECONDITION: REFUSED,
        StatusCode.ABORTED: BROKEN,
        StatusCode.UNIMPLEMENTED: UNSUITABLE,
        StatusCode.INTERNAL: BROKEN,
        StatusCode.UNAVAILABLE: UNREACHABLE,
        StatusCode.DATA_LOSS: BROKEN,
        StatusCode.OUT_OF_RANGE: BAD_OPTIONS,
    }
)

STREAMING: Mapping[StatusCode, Rule] = MappingProxyType(
    {
        StatusCode.OK: ENDED,
        StatusCode.CANCELLED: CANCELLED,
        StatusCode.UNKNOWN: BROKEN,
        # The same audio and options would be refused again.
        StatusCode.INVALID_ARGUMENT: REFUSED,
        StatusCode.DEADLINE_EXCEEDED: DEADLINE,
        StatusCode.NOT_FOUND: MISCONFIGURED,
        StatusCode.ALREADY_EXISTS: BROKEN,
        StatusCode.PERMISSION_DENIED: CREDENTIALS,
        StatusCode.UNAUTHENTICATED: CREDENTIALS,
        StatusCode.RESOURCE_EXHAUSTED: BUSY_IN_STREAM,
        StatusCode.FAILED_PRECONDITION: REFUSED,
        StatusCode.ABORTED: BROKEN,
        StatusCode.UNIMPLEMENTED: UNSUITABLE,
        StatusCode.INTERNAL: BROKEN,
        StatusCode.UNAVAILABLE: UNREACHABLE,
        StatusCode.DATA_LOSS: BROKEN,
        StatusCode.OUT_OF_RANGE: REFUSED,
    }
)

TABLES: Mapping[Phase, Mapping[StatusCode, Rule]] = MappingProxyType(
    {Phase.OPENING: OPENING, Phase.STREAMING: STREAMING}
)

# Riva releases a sequence that was idle for a minute and then says that the next chunk "must specify the
# START flag": the stream is gone, nothing is wrong with the options.
_SEQUENCE_WAS_LOST = re.compile(r"\bSTART flag\b", re.IGNORECASE)
# A refusal that names the audio is about the audio, whenever it comes.
_AUDIO_WAS_BAD = re.compile(r"\baudio_content\b", re.IGNORECASE)

# How a recogniser may name our fields: exact names first, plain words last ("model X does not support language Y").
_FIELD_NAMES: tuple[tuple[str, str], ...] = (
    *(
        (name, f"config.endpointing.{name}")
        for name in (
            "start_history",
            "start_threshold",
            "stop_history_eou",
            "stop_threshold_eou",
            "stop_history",
            "stop_threshold",
        )
    ),
    ("language_code", "config.language"),
    ("sample_rate_hertz", "config.sample_rate_hertz"),
    ("sample_rate", "config.sample_rate_hertz"),
    ("audio_channel_count", "config.audio_channel_count"),
    ("max_alternatives", "config.max_alternatives"),
    ("max_speaker_count", "config.diarization.max_speakers"),
    ("diarization_config", "config.diarization"),
    ("enable_speaker_diarization", "config.diarization.enable"),
    ("endpointing_config", "config.endpointing"),
    ("speech_contexts", "config.speech_contexts"),
    ("custom_configuration", "config.custom_configuration"),
    ("profanity_filter", "config.profanity_filter"),
    ("verbatim_transcripts", "config.verbatim_transcripts"),
    ("enable_word_time_offsets", "config.enable_word_time_offsets"),
    ("enable_automatic_punctuation", "config.enable_automatic_punctuation"),
    ("interim_results", "config.enable_interim_results"),
    ("language", "config.language"),
    ("sample rate", "config.sample_rate_hertz"),
    ("channels?", "config.audio_channel_count"),
    ("encoding", "config.encoding"),
    ("diarization", "config.diarization"),
    ("endpointing", "config.endpointing"),
    ("model", "config.model"),
)
_FIELDS = tuple((re.compile(rf"\b{name}\b", re.IGNORECASE), path) for name, path in _FIELD_NAMES)
# A server that shuts down sends GOAWAY and ends its calls; gRPC's own servers say so in these words.
_SAYS_GOODBYE = re.compile(r"GOAWAY|Cancelling all calls")
_CREDENTIAL = re.compile(r"\b(?:bearer\s+|nvapi-)\S+", re.IGNORECASE)


def map_status(
    code: StatusCode,
    details: str | None,
    *,
    phase: Phase,
    asked_model: str = "",
    secrets: Iterable[str] = (),
) -> TranscriptionError:
    """The error to raise for a status.

    asked_model: the model that the client named; without one, a missing model is not the client's mistake.
    """
    text = clean_upstream_text(details or "", secrets)
    rule = _choose(code, text, phase, asked_model)
    message = str(rule.message)
    if rule.quotes:
        message = f"{message}: {text}" if text else f"{message}."
    field = rule.field or (_named_field(text) if rule.error is BadConfig else None)
    return rule.error(
        message,
        reason=rule.reason,
        field=field,
        retryable=rule.retryable,
        retry_after_ms=rule.retry_after_ms,
    )


def clean_upstream_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Text of a recogniser made fit for people and logs: one line, at most 200 characters, no secrets."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET_CHARACTERS:
            text = text.replace(secret, "[hidden]")
    text = _CREDENTIAL.sub("[hidden]", text)
    text = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    text = " ".join(text.split())
    if len(text) > MAX_UPSTREAM_TEXT_CHARACTERS:
        text = text[: MAX_UPSTREAM_TEXT_CHARACTERS - 1] + "…"
    return text


def _choose(code: StatusCode, text: str, phase: Phase, asked_model: str) -> Rule:
    if code is StatusCode.INVALID_ARGUMENT and _SEQUENCE_WAS_LOST.search(text):
        return LOST_SEQUENCE
    if code is StatusCode.INVALID_ARGUMENT and _AUDIO_WAS_BAD.search(text):
        return BAD_AUDIO
    rule = TABLES[phase][code]
    if rule is UNREACHABLE and _SAYS_GOODBYE.search(text):
        return GOODBYE
    if rule is UNKNOWN_MODEL and not asked_model:
        return MISCONFIGURED
    return rule


def _named_field(text: str) -> str | None:
    return next((path for pattern, path in _FIELDS if pattern.search(text)), None)
