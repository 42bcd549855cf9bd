"""What goes in and out of the HTTP API. Times are milliseconds of audio, or ISO 8601 moments."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from django.contrib.auth import get_user_model
from django.db.models import Model, Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from transcription.errors import BadConfig
from transcription.metadata_index import has_pair
from transcription.models import ApiKey, TranscriptionSession
from transcription.options import (
    MAX_METADATA_PAIRS,
    SESSION_ID_PATTERN,
    LanguageCode,
    Metadata,
    ShortText,
    TranscriptionConfig,
    has_unstorable,
    refuse_unstorable,
)
from transcription.services import MAX_STOP_REASON_CHARACTERS
from transcription.session_list import lasted, older_than, stored_languages

MAX_PAGE = 100
DEFAULT_PAGE = 50
MAX_QUERY_CHARACTERS = 200
MAX_AUDIO_MS = 24 * 3600 * 1000

Name = Annotated[str, Field(min_length=1, max_length=150)]
# Key and value, which have 200 characters each at most; a key of the filter ends at the first colon.
MetadataPair = Annotated[str, Field(pattern=r"^[^:]{1,200}:[\s\S]{0,200}$")]

State = Literal["created", "live", "detached", "completed", "interrupted", "failed"]


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
    """Which sessions. since and until are moments of creation, until exclusive; metadata: pairs that it has, all of
    them.
    """

    state: State | None = None
    language: LanguageCode | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    q: Annotated[str, Field(max_length=MAX_QUERY_CHARACTERS)] = ""
    metadata: list[MetadataPair] = Field(default=[], max_length=MAX_METADATA_PAIRS)
    owner: Name | None = None
    api_key: Name | None = None
    dialect: Name | None = None
    min_audio_ms: Annotated[int, Field(ge=0, le=MAX_AUDIO_MS)] | None = None

    @field_validator("metadata", "owner", "api_key", "dialect")
    @classmethod
    def _is_storable(cls, value: Any) -> Any:
        if any(map(has_unstorable, value if isinstance(value, list) else [value or ""])):
            raise ValueError("contains NUL or a lone surrogate")
        return value

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

    cursor: Annotated[str, Field(max_length=MAX_QUERY_CHARACTERS)] = ""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE


class Cursor(NamedTuple):
    """The last session of a page; the next page begins behind it, whatever was added meanwhile."""

    created_at: datetime
    pk: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises BadConfig naming `cursor` for a text that no page gave out."""
        try:
            created_at, _bar, pk = base64.urlsafe_b64decode(text.encode()).decode().partition("|")
            parsed = parse_datetime(created_at)
            if parsed is None or parsed.tzinfo is None or not 0 < int(pk) < 2**63:
                raise ValueError(text)
            return cls(parsed, int(pk))
        except (ValueError, binascii.Error):
            raise BadConfig(_("cursor: not the cursor of a page."), field="cursor") from None

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(f"{self.created_at.isoformat()}|{self.pk}".encode()).decode()

    def conditions(self) -> Q:
        return older_than(self.created_at, self.pk)


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
    segment_count: int
    word_count: int
    first_interim_ms: int | None
    final_lag_p50_ms: int | None
    final_lag_p95_ms: int | None

    @classmethod
    def of(cls, session: TranscriptionSession) -> Self:
        """The facts of a session whose owner and key are at hand."""
        return cls(
            session_id=session.public_id,
            owner=session.owner.get_username() if session.owner else None,
            api_key=session.api_key.name if session.api_key else None,
            config=session.options_applied or session.options_asked,
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
    """A segment. text: as corrected by people; asr_text: as recognised."""

    segment: int
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


class SessionChanges(BaseModel):
    """What may be changed of a session. metadata takes the place of all that was there."""

    model_config = ConfigDict(extra="forbid", strict=True)

    title: ShortText | None = None
    metadata: Metadata | None = None

    @field_validator("title", "metadata")
    @classmethod
    def _is_said(cls, value: Any) -> Any:
        if value is None:
            raise ValueError("Leave it out or give a value")
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


_RENAMED = frozenset({"session_id", "owner", "api_key", "config"})


class SessionPage(Schema):
    """next: the cursor of the following page, null on the last one."""

    sessions: list[SessionAnswer]
    next: str | None
