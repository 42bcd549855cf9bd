"""Applying the rules: in pieces, so that nothing live waits, and the same whether by job or by command."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Count, QuerySet, Sum
from django.db.models.functions import Now

from speechsite.config import Config
from transcription.audit.actors import Actor, acting, current_actor
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.errors import SessionTaken
from transcription.models import TranscriptionSession
from transcription.recording.parts import PartFolder
from transcription.recording.store import delete_audio
from transcription.retention.along import reruns_along
from transcription.retention.models import RetentionRule, Tombstone
from transcription.retention.rules import expired
from transcription.services import delete_session, finish_deletion

SESSIONS_READ_AT_ONCE = 50
# A deletion that somebody is at takes seconds.
CUT_SHORT_AFTER = timedelta(minutes=2)
MAX_FINISHED_AT_ONCE = 50
EVENTS_DELETED_AT_ONCE = 500
MAX_EVENT_PIECES = 20


@dataclass(slots=True)
class Taken:
    """What one rule takes, or would. audio_only: the sessions themselves stay.

    reruns: how many of the sessions go only since what they heard again does.
    """

    rule: str
    audio_only: bool
    sessions: int = 0
    reruns: int = 0
    segments: int = 0
    audio_ms: int = 0


@dataclass(slots=True)
class Deadline:
    """Until when new sessions are begun with."""

    at_s: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def is_over(self) -> bool:
        return time.monotonic() >= self.at_s


FOREVER = Deadline(float("inf"))


def foresee(rules: Sequence[RetentionRule]) -> list[Taken]:
    """What the rules would take now. A session that two of them match is counted by each; nothing is changed."""
    return [_foresee(rule) for rule in rules]


def _foresee(rule: RetentionRule) -> Taken:
    sessions = expired(rule).order_by()
    # What the rows of sessions say: to count segments would read a large part of the largest table.
    found = _sum(sessions)
    if rule.takes == RetentionRule.Takes.AUDIO:
        return Taken(rule.name, audio_only=True, sessions=found["number"], audio_ms=found["audio_ms"])
    along = _sum(reruns_along(sessions))
    both = {name: found[name] + along[name] for name in found}
    return Taken(rule.name, False, both["number"], along["number"], both["segments"], both["audio_ms"])


def _sum(sessions: QuerySet[TranscriptionSession]) -> dict[str, int]:
    sums = sessions.aggregate(number=Count("pk"), segments=Sum("segment_count"), audio_ms=Sum("audio_ms"))
    return {name: value or 0 for name, value in sums.items()}


def purge(rules: Sequence[RetentionRule], config: Config, deadline: Deadline = FOREVER) -> tuple[list[Taken], bool]:
    """Delete what the rules take. Returns what each took, and whether that was all of it by the deadline."""
    taken, is_all = [], True
    for rule in rules:
        done = Taken(rule.name, rule.takes == RetentionRule.Takes.AUDIO)
        with acting(_actor_of(rule)):
            is_all = _purge(rule, config, done, deadline) and is_all
        taken.append(done)
    return taken, is_all


def _actor_of(rule: RetentionRule) -> Actor:
    """A rule acts by itself, and what was asked for in a command by that command."""
    who = current_actor()
    return who if who.kind == AuditEvent.ActorKind.COMMAND and rule.pk is None else Actor(_RULE, rule.name)


_RULE = AuditEvent.ActorKind.RULE


def _purge(rule: RetentionRule, config: Config, done: Taken, deadline: Deadline) -> bool:
    passed: list[int] = []
    while True:
        sessions = list(expired(rule).exclude(pk__in=passed)[:SESSIONS_READ_AT_ONCE])
        if not sessions:
            return True
        for session in sessions:
            if deadline.is_over:
                return False
            # Once a round: what cannot go now must not be met for ever.
            passed.append(session.pk)
            if done.audio_only:
                _take_audio(session, config, done)
            else:
                _take(session, done)
        passed = [key for key in passed if TranscriptionSession.objects.filter(pk=key).exists()]


def _take(session: TranscriptionSession, done: Taken) -> None:
    """It may have been protected, be run again, or be taken by somebody else, meanwhile."""
    try:
        stones = delete_session(session)
    except SessionTaken:
        return
    done.sessions += len(stones)
    done.reruns += sum(bool(stone.rerun_of) for stone in stones)
    done.segments += sum(stone.segments for stone in stones)
    done.audio_ms += sum(stone.audio_ms for stone in stones)


def _take_audio(session: TranscriptionSession, config: Config, done: Taken) -> None:
    recording = session.recording
    size_bytes = recording.size_bytes
    if delete_audio(recording, PartFolder.of(config), "retention"):
        record(AuditEvent.What.DELETED_AUDIO, session, bytes=size_bytes, audio_s=session.audio_ms // 1000)
        done.sessions += 1
        done.audio_ms += session.audio_ms


def finish_cut_short() -> int:
    """Go on with deletions whose process was killed. Returns how many are done now."""
    begun = Tombstone.objects.filter(finished_at=None, began_at__lt=Now() - CUT_SHORT_AFTER)
    finished = 0
    for stone in begun.order_by("began_at")[:MAX_FINISHED_AT_ONCE]:
        assert stone.session_key is not None  # noqa: S101 - only finish() takes it away
        finish_deletion(stone.session_key)
        stone.refresh_from_db()
        finished += stone.finished_at is not None
    return finished


def forget_events(days: int) -> bool:
    """Delete entries of the audit log older than so many days; 0 keeps them. Returns whether that was all."""
    old = AuditEvent.objects.filter(at__lt=Now() - timedelta(days=days)) if days else AuditEvent.objects.none()
    for _piece in range(MAX_EVENT_PIECES):
        keys = list(old.order_by("at", "pk").values_list("pk", flat=True)[:EVENTS_DELETED_AT_ONCE])
        if not keys:
            return True
        AuditEvent.objects.filter(pk__in=keys).delete()
    return False
