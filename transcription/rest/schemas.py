"""What goes in and out of the HTTP API. Times are milliseconds of audio, or ISO 8601 moments."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any, Literal, NamedTuple, Self

from django.contrib.auth import get_user_model
from django.db.models import Model, Q
from ninja import Schema
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from transcription.models import ApiKey, TranscriptionSession
from transcription.options import (
    MAX_METADATA_PAIRS,
    NO_NUL,
    SESSION_ID_PATTERN,
    LanguageCode,
    Metadata,
    ShortText,
    TranscriptionConfig,
    refuse_unstorable,
)
from transcription.recording.store import recording_state
from transcription.search.metadata_index import has_pair
from transcription.search.session_list import lasted, older_than, stored_languages
from transcription.services import MAX_STOP_REASON_CHARACTERS

MAX_PAGE = 100
DEFAULT_PAGE = 50
MAX_QUERY_CHARACTERS = 200
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CURSOR_PATTERN = r"^([0-9]{1,17}_[0-9]{1,18})?$"
MAX_AUDIO_MS = 24 * 3600 * 1000

Name = Annotated[str, Field(min_length=1, max_length=150, pattern=NO_NUL)]
# Key and value, which have 200 characters each at most; a key of the filter ends at the first colon.
MetadataPair = Annotated[str, Field(pattern=r"^[^:\x00]{1,200}:[^\x00]{0,200}$")]

State = Literal["created", "live", "detached", "completed", "interrupted", "failed"]


def _is_text(value: Any) -> Any:
    """Numbers would be taken for seconds since 1970."""
    if isinstance(value, str) and not re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        raise ValueError("Must begin with a date such as 2026-01-31")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("Is outside of the years 1 to 9999 in UTC") from None


Moment = Annotated[AwareDatetime, BeforeValidator(_is_text), AfterValidator(_in_utc)]
Day = Annotated[date, BeforeValidator(_is_text)]


class ErrorAnswer(Schema):
    """Every error. code: 4000 + the HTTP status; reason: a stable word; field: what was wrong, if one thing was."""

    code: int
    reason: str
    message: str
    retryable: bool
    field: str | None
    request_id: str


class StartRequest(TranscriptionConfig):
    """The options of a session, flat, and optionally the id it shall have."""

    session_id: Annotated[str, Field(pattern=SESSION_ID_PATTERN)] | None = None

    def config(self) -> TranscriptionConfig:
        """The options alone; `model_fields_set` still tells which of them were asked for."""
        return TranscriptionConfig.model_validate(self.model_dump(exclude={"session_id"}, exclude_unset=True))


class StartAnswer(Schema):
    """Where to stream to, and the token to bring along in the subprotocol `speech.token.<token>`."""

    session_id: str
    websocket_url: str
    token: str
    expires_at: datetime


class HealthAnswer(Schema):
    status: Literal["healthy"]
    version: str
    live_sessions: int
    max_concurrent_sessions: int


class SessionFilters(Schema):
    """Which sessions."""

    state: State | None = None
    language: LanguageCode | None = None
    since: Moment | None = Field(default=None, description="Created then or later.")
    until: Moment | None = Field(default=None, description="Created before.")
    q: str = Field(
        default="",
        max_length=MAX_QUERY_CHARACTERS,
        description="Words of the title or of the transcript, where its text may be read; each may be cut short.",
    )
    metadata: list[MetadataPair] = Field(
        default=[], max_length=MAX_METADATA_PAIRS, description="Pairs that it has, as `key:value`; all of those given."
    )
    owner: Name | None = Field(default=None, description="User name of the owner.")
    api_key: Name | None = Field(default=None, description="Name of the key with which it was made.")
    dialect: Name | None = Field(default=None, description="The protocol over which it was spoken.")
    min_audio_ms: Annotated[int, Field(ge=0, le=MAX_AUDIO_MS)] | None = Field(
        default=None, description="At least so many ms of audio."
    )

    def conditions(self) -> Q:
        """The filters but for q."""
        conditions = Q()
        if self.state is not None:
            conditions &= Q(state=self.state)
        if self.language is not None:
            same = [stored for stored in stored_languages(self.language) if len(stored) == len(self.language)]
            conditions &= Q(language__in=same)
        if self.since is not None:
            conditions &= Q(created_at__gte=self.since)
        if self.until is not None:
            conditions &= Q(created_at__lt=self.until)
        if self.owner is not None:
            conditions &= Q(owner__in=_keys_of(get_user_model(), username=self.owner))
        if self.api_key is not None:
            conditions &= Q(api_key__in=_keys_of(ApiKey, name=self.api_key))
        if self.dialect is not None:
            conditions &= Q(dialect=self.dialect)
        if self.min_audio_ms is not None:
            conditions &= lasted(self.min_audio_ms)
        for pair in self.metadata:
            key, _colon, value = pair.partition(":")
            conditions &= has_pair(key, value)
        return conditions


def _keys_of(model: type[Model], **conditions: str) -> list[int]:
    """Looked up before: a condition over both tables could use neither index."""
    return list(model._default_manager.filter(**conditions).values_list("pk", flat=True))


class SessionListQuery(SessionFilters):
    """A page of the list, newest first."""

    cursor: str = Field(default="", pattern=CURSOR_PATTERN, description="The `next` of the page before.")
    limit: int = Field(default=DEFAULT_PAGE, ge=1, le=MAX_PAGE, description="Sessions a page.")


class Cursor(NamedTuple):
    """The last session of a page; the next page begins behind it, whatever was added meanwhile.

    As text: microseconds since 1970, and the key. Whatever looks like that is a place in the list.
    """

    created_at: datetime
    pk: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """text: matches CURSOR_PATTERN."""
        since_epoch_us, _separator, pk = text.partition("_")
        return cls(EPOCH + timedelta(microseconds=int(since_epoch_us)), int(pk))

    def __str__(self) -> str:
        return f"{(self.created_at - EPOCH) // timedelta(microseconds=1)}_{self.pk}"

    def conditions(self) -> Q:
        return older_than(self.created_at, self.pk)


class ProtectionAnswer(Schema):
    """Why a session cannot be deleted. by: the name of who protected it, as it was then."""

    reason: str
    by: str
    since: datetime

    @classmethod
    def of(cls, protection: Any) -> Self:
        return cls(reason=protection.reason, by=protection.protected_by, since=protection.protected_at)


class SessionAnswer(Schema):
    """A session's facts. owner and api_key are names; config is as applied, or as asked until it has started."""

    session_id: str
    title: str
    metadata: dict[str, Any]
    state: State
    owner: str | None
    api_key: str | None
    dialect: str
    language: str
    config: dict[str, Any]
    recogniser: str
    model: str
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    end_reason: str
    end_message: str
    audio_ms: int
    audio_bytes: int
    recording: Literal["recording", "complete", "partial", "failed", "deleted"] | None = Field(
        description="Of its kept audio; null: none was to be kept"
    )
    segment_count: int
    word_count: int
    first_interim_ms: int | None
    final_lag_p50_ms: int | None
    final_lag_p95_ms: int | None
    protection: ProtectionAnswer | None = Field(description="Why nothing and nobody may delete it; null: it may go")

    @classmethod
    def of(cls, session: TranscriptionSession) -> Self:
        """The facts of a session whose owner and key are at hand."""
        protection = getattr(session, "protection", None)
        return cls(
            session_id=session.public_id,
            owner=session.owner.get_username() if session.owner else None,
            api_key=session.api_key.name if session.api_key else None,
            config=session.options_applied or session.options_asked,
            recording=recording_state(session),
            protection=ProtectionAnswer.of(protection) if protection is not None else None,
            **{name: getattr(session, name) for name in cls.model_fields if name not in _RENAMED},
        )


class TranscriptWord(Schema):
    """Times are ms of the session's audio."""

    word: str
    start_ms: int
    end_ms: int
    confidence: float | None
    speaker: str | None


class TranscriptItem(Schema):
    """A segment. text: as was asked for; asr_text: as recognised. id: `12`, or `12.1` of a part that was split off."""

    segment: int
    id: str
    start_ms: int
    end_ms: int
    text: str
    asr_text: str
    confidence: float | None
    speaker: str | None
    words: list[TranscriptWord]


class SpanItem(Schema):
    start_ms: int
    end_ms: int


class CoverageItem(SpanItem):
    kind: Literal["recognised", "silent", "lost"]


class TranscriptAnswer(Schema):
    """A transcript as JSON, as exports.py writes it. gaps: what coverage calls lost."""

    session_id: str
    language: str
    segments: list[TranscriptItem]
    audio_ms: int
    gaps: list[SpanItem]
    coverage: list[CoverageItem]


def _without_default(schema: dict[str, Any]) -> None:
    """What is left out stays as it is."""
    del schema["default"]


class SessionChanges(BaseModel):
    """What may be changed of a session; what is not set stays. metadata takes the place of all that was there."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: ShortText = Field(default="", json_schema_extra=_without_default)
    metadata: Metadata = Field(default={}, json_schema_extra=_without_default)

    @field_validator("title", "metadata")
    @classmethod
    def _is_storable(cls, value: Any) -> Any:
        refuse_unstorable(value)
        return value


class StopRequest(BaseModel):
    """reason: told to the speaker."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, Field(max_length=MAX_STOP_REASON_CHARACTERS)] = ""


class StopAnswer(Schema):
    """stop_requested: false where the session was neither live nor detached any more."""

    session_id: str
    state: State
    stop_requested: bool

    @classmethod
    def of(cls, session: TranscriptionSession, stop_requested: bool) -> Self:
        return cls.model_validate(
            {"session_id": session.public_id, "state": session.state, "stop_requested": stop_requested}
        )


_RENAMED = frozenset({"session_id", "owner", "api_key", "config", "recording", "protection"})


class SessionPage(Schema):
    """next: the cursor of the following page, null on the last one."""

    sessions: list[SessionAnswer]
    next: str | None
