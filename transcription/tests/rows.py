"""Rows for tests of what is stored: sessions with segments, users with permissions, their principals."""

from __future__ import annotations

import itertools
from typing import Any

from django.contrib.auth.models import Permission, User
from model_bakery import baker

from transcription.identity.principals import Principal
from transcription.models import ApiKey, TranscriptionSession, TranscriptSegment

SEGMENT_MS = 2000
_numbers = itertools.count()


def make_user(*permissions: str, **fields: Any) -> User:
    """A user with permissions of the transcription app, given by their code names."""
    user: User = baker.make(User, username=f"user-{next(_numbers)}", is_active=True, **fields)
    found = Permission.objects.filter(content_type__app_label="transcription", codename__in=permissions)
    assert found.count() == len(permissions), permissions
    user.user_permissions.set(found)
    return user


def principal_of(user: User) -> Principal:
    return Principal(kind="user", user_id=user.pk, label=user.get_username())


def principal_of_key(key: ApiKey) -> Principal:
    return Principal(kind="key", user_id=key.owner_id, key_id=key.pk, label=key.name)


def make_session(*texts: str, **fields: Any) -> TranscriptionSession:
    """A completed session, 16 kHz, with a segment of 2 s for each text, settled to its end."""
    audio_ms = len(texts) * SEGMENT_MS
    defaults: dict[str, Any] = {
        "public_id": f"session-{next(_numbers)}",
        "language": "en-US",
        "state": TranscriptionSession.State.COMPLETED,
        "audio_ms": audio_ms,
        "audio_bytes": audio_ms * 32,
        "committed_bytes": audio_ms * 32,
        "segment_count": len(texts),
        "word_count": sum(len(text.split()) for text in texts),
    }
    session: TranscriptionSession = baker.make(TranscriptionSession, **(defaults | fields))
    add_segments(session, *texts)
    return session


def add_segments(session: TranscriptionSession, *texts: str) -> None:
    """Store segments as the hot path does: many rows at once, without signals."""
    first = session.segments.count()
    TranscriptSegment.objects.bulk_create(
        TranscriptSegment(
            session=session,
            index=index,
            start_ms=index * SEGMENT_MS,
            end_ms=(index + 1) * SEGMENT_MS,
            text=text,
            asr_text=text,
        )
        for index, text in enumerate(texts, start=first)
    )
