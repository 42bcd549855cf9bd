"""What goes in and out of the HTTP API. Times are milliseconds of audio, or ISO 8601 moments."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

from django.db.models import Q
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from ninja import Schema
from pydantic import AwareDatetime, Field

from transcription.errors import BadConfig
from transcription.models import TranscriptionSession
from transcription.options import SESSION_ID_PATTERN, LanguageCode, TranscriptionConfig
from transcription.session_list import older_than, stored_languages

MAX_PAGE = 100
DEFAULT_PAGE = 50
MAX_QUERY_CHARACTERS = 200

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
    """Which sessions: newest first, a page at a time. since and until are moments of creation, until exclusive."""

    state: State | None = None
    language: LanguageCode | None = None
    since: AwareDatetime | None = None
    until: AwareDatetime | None = None
    q: Annotated[str, Field(max_length=MAX_QUERY_CHARACTERS)] = ""
    cursor: Annotated[str, Field(max_length=MAX_QUERY_CHARACTERS)] = ""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = DEFAULT_PAGE

    def conditions(self) -> Q:
        """The filters but for q, cursor and limit."""
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
        return conditions


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


_RENAMED = frozenset({"session_id", "owner", "api_key", "config"})


class SessionPage(Schema):
    """next: the cursor of the following page, null on the last one."""

    sessions: list[SessionAnswer]
    next: str | None
