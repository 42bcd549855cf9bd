"""Writing entries, in the transaction of the change if there is one. Plain functions for a thread that may wait."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from django.db import models
from django.utils import timezone

from transcription.audit.actors import Actor, current_actor
from transcription.audit.models import AuditEvent
from transcription.identity.origins import storable_address
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.options import clean_text

What = AuditEvent.What
Kind = AuditEvent.ActorKind

MAX_DETAIL_CHARACTERS = 300
MAX_DETAILS_BYTES = 4000
MAX_LISTED = 20
MAX_NAME_CHARACTERS = 150


def record(
    what: AuditEvent.What,
    on: models.Model | None = None,
    facts: Mapping[str, Any] | None = None,
    *,
    actor: Actor | None = None,
    **details: Any,
) -> None:
    """Note that something was done or seen, by the current actor unless another is named.

    on: the object, or None. facts, details: what JSON takes, cut to its bounds.
    """
    _event(what, on, actor or current_actor(), {**(facts or {}), **details}).save(force_insert=True)


def record_once_an_hour(
    what: AuditEvent.What,
    on: models.Model | None = None,
    *,
    actor: Actor | None = None,
    also_same: str = "",
    **details: Any,
) -> None:
    """The same, but once for this actor, object and hour: what is seen goes on for hours and comes again and again.

    also_same: what else tells two entries apart; it is not kept.
    """
    event = _event(what, on, actor or current_actor(), details)
    hour = timezone.now().strftime("%Y%m%d%H")
    same = f"{what}|{(actor or current_actor()).identity}|{event.object_type}|{event.object_id}|{hour}|{also_same}"
    event.once = hashlib.sha256(same.encode()).hexdigest()
    # Looking takes no lock; of two at once one is left out.
    if not AuditEvent.objects.filter(once=event.once).exists():
        AuditEvent.objects.bulk_create([event], ignore_conflicts=True)


def record_watching(session: TranscriptionSession) -> None:
    """Somebody sees the text of a session: noted once an hour, and only of a session that is not their own."""
    if not _is_own(session, current_actor()):
        record_once_an_hour(What.WATCHED, session, state=session.state)


def record_search(sessions: Iterable[TranscriptionSession], text: str = "") -> None:
    """Somebody sees words of sessions, or that a word was said in them, in a list: those of others are noted, once an
    hour for the same search and what it found.

    text: what was looked for. It is not kept: people type names there.
    """
    actor = current_actor()
    ids = list(dict.fromkeys(session.public_id for session in sessions if not _is_own(session, actor)))
    if ids:
        # The first page of a search changes as sessions end; each is another thing that was seen.
        same = json.dumps([text, ids])
        record_once_an_hour(What.SEARCHED, actor=actor, also_same=same, sessions=len(ids), ids=ids[:MAX_LISTED])


def record_listening(session: TranscriptionSession, *, is_live: bool) -> None:
    """Somebody hears a session; the same rules. A player asks for many parts of one recording."""
    if not _is_own(session, current_actor()):
        record_once_an_hour(What.LISTENED, session, live=is_live)


def record_export(session: TranscriptionSession, format: str) -> None:
    """A transcript is downloaded. What programs read of their own sessions all day is not noted."""
    actor = current_actor()
    if actor.kind == AuditEvent.ActorKind.USER or not _is_own(session, actor):
        record(What.EXPORTED, session, actor=actor, format=format)


def record_exports(number: int, ids: Sequence[str], format: str) -> None:
    """Many transcripts are downloaded at once. ids: public ones, of which the first are noted."""
    record(What.EXPORTED_MANY, format=format, sessions=number, ids=ids[:MAX_LISTED])


def _is_own(session: TranscriptionSession, actor: Actor) -> bool:
    if actor.kind not in (Kind.USER, Kind.KEY, Kind.TOKEN, Kind.LOCAL):
        return False
    who = Principal(kind=actor.kind.value, user_id=actor.user_id, key_id=actor.key_id)  # type: ignore[arg-type]
    return who.owns(owner_id=session.owner_id, api_key_id=session.api_key_id)


def _event(what: AuditEvent.What, on: models.Model | None, actor: Actor, details: dict[str, Any]) -> AuditEvent:
    return AuditEvent(
        what=what,
        actor_kind=actor.kind,
        actor=clean_text(actor.label)[:MAX_NAME_CHARACTERS],
        user_id=actor.user_id,
        api_key_id=actor.key_id,
        object_type=str(on._meta.model_name)[:40] if on is not None else "",
        object_id=name_of(on)[:MAX_NAME_CHARACTERS] if on is not None else "",
        address=storable_address(actor.address),
        details=bounded(details),
        request_id=actor.request_id[:64],
    )


def name_of(on: models.Model) -> str:
    """What people know an object by: never its title or text, which are not for this log."""
    for field in ("public_id", "prefix", "username", "name"):
        name = getattr(on, field, None)
        if name:
            return clean_text(str(name))
    return str(on.pk)


def bounded(details: dict[str, Any]) -> dict[str, Any]:
    """The details, each cut to its bound; all of them left out where they are too many even so."""
    kept = {name: _cut(value) for name, value in details.items() if value not in (None, "", [], {})}
    return kept if len(json.dumps(kept)) <= MAX_DETAILS_BYTES else {"left_out": sorted(kept)[:MAX_LISTED]}


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)[:MAX_DETAIL_CHARACTERS]
    if isinstance(value, list | tuple | set | frozenset):
        listed = sorted(value, key=str) if isinstance(value, set | frozenset) else list(value)
        return [_cut(one) for one in listed[:MAX_LISTED]]
    if isinstance(value, dict):
        return {str(name)[:40]: _cut(one) for name, one in list(value.items())[:MAX_LISTED]}
    return value
