"""What pages, the HTTP API, the admin and commands do to sessions and keys. Functions for threads that may wait."""

from __future__ import annotations

import asyncio
import logging
import secrets
from datetime import timedelta
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from speechsite.config import get_config
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record
from transcription.daily.counting import count_before_deletion
from transcription.errors import NotFound, SessionTaken, TooFast
from transcription.identity.key_models import digest_of_secret, make_key_text
from transcription.identity.origins import storable_address
from transcription.identity.principals import Principal
from transcription.limits.admission import MAX_USER_AGENT_CHARACTERS, describe_session
from transcription.models import ApiKey, TranscriptionSession
from transcription.options import TranscriptionConfig, clean_text
from transcription.recording.parts import PartFolder
from transcription.recording.store import delete_with_session
from transcription.retention import along, tombstones
from transcription.retention.models import Tombstone
from transcription.retention.protecting import check_not_protected
from transcription.retention.traces import delete_traces
from transcription.timeline import rows as timeline
from transcription.webhooks.outbox import note_end

logger = logging.getLogger(__name__)

CONTROL_GROUP = "live.control"
NUDGE_TIMEOUT_S = 2.0
SESSION_ID_BYTES = 16
HOUR = timedelta(hours=1)
MAX_STOP_REASON_CHARACTERS = 300
MAX_CREATED_PER_OWNER = 100
CREATED_RETRY_AFTER_MS = 60_000

State = TranscriptionSession.State


def start_session(
    principal: Principal,
    config: TranscriptionConfig,
    session_id: str | None = None,
    *,
    client_address: str | None = None,
    user_agent: str = "",
) -> TranscriptionSession:
    """Make a session in state `created`, to be started over a socket within the hour.

    session_id: matches options.SESSION_ID_PATTERN; made here if None. Raises SessionTaken for an id that exists
    and TooFast when MAX_CREATED_PER_OWNER of this owner wait to be started.
    """
    waiting = TranscriptionSession.objects.filter(
        state=State.CREATED, owner_id=principal.user_id, api_key_id=principal.key_id
    )
    if waiting.count() >= MAX_CREATED_PER_OWNER:
        raise TooFast(
            _("Too many sessions wait to be started. Start them first."),
            reason="too_many_created",
            retry_after_ms=CREATED_RETRY_AFTER_MS,
        )
    row = TranscriptionSession(
        public_id=session_id or secrets.token_urlsafe(SESSION_ID_BYTES),
        client_address=storable_address(client_address),
        user_agent=clean_text(user_agent)[:MAX_USER_AGENT_CHARACTERS],
        options_asked=config.model_dump(mode="json", exclude_unset=True),
        created_at=Now(),
    )
    describe_session(row, principal, config.as_applied(get_config().keep_audio))
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        raise SessionTaken(_("This session id exists already. Choose another.")) from None
    row.refresh_from_db(fields=["created_at"])
    return row


def change_session(
    session: TranscriptionSession, *, title: str | None = None, metadata: dict[str, str] | None = None
) -> None:
    """Give a session another title, other metadata, or both. Nothing else of it can be changed.

    Raises NotFound if it was deleted meanwhile.
    """
    with transaction.atomic():
        row = TranscriptionSession.objects.select_for_update().filter(pk=session.pk).first()
        if row is None:
            raise NotFound(_("There is no such transcription session."))
        changes: dict[str, Any] = {} if title is None else {"title": title}
        if metadata is not None:
            changes["metadata"] = metadata
        if changes:
            record(AuditEvent.What.EDITED, row, fields=sorted(changes))
        if changes and row.state == State.CREATED:
            # Its start writes on the row what was asked for.
            changes["options_asked"] = row.options_asked | changes
        if changes:
            TranscriptionSession.objects.filter(pk=row.pk).update(**changes)
    for name, value in changes.items():
        setattr(session, name, value)


def request_stop(session: TranscriptionSession, user: AbstractBaseUser | AnonymousUser | None, reason: str) -> bool:
    """Stop a session that is live or detached. Returns whether it was.

    The process that holds a live one is asked: by a flag on the row, read each second; a message through the
    channel layer only makes it quicker. Asking again keeps the first wish. A detached one, which nobody holds, is
    complete at once, and cannot be resumed any more.
    """
    with transaction.atomic():
        row = TranscriptionSession.objects.select_for_update().filter(pk=session.pk).first()
        if row is None or row.state not in (State.LIVE, State.DETACHED):
            return False
        changes: dict[str, Any] = {}
        if row.stop_requested_at is None:
            changes["stop_requested_at"] = Now()
            changes["stop_requested_by"] = user.pk if user is not None and user.is_authenticated else None
            changes["stop_reason"] = clean_text(reason)[:MAX_STOP_REASON_CHARACTERS]
            by = user.get_username() if user is not None and user.is_authenticated else ""
            timeline.note(row.pk, timeline.Kind.STOP_REQUESTED, by=by, reason=changes["stop_reason"])
        if row.state == State.DETACHED:
            changes |= _ended(State.COMPLETED, "operator")
        if "stop_requested_by" in changes:
            record(AuditEvent.What.STOPPED, row, reason=changes["stop_reason"])
        TranscriptionSession.objects.filter(pk=session.pk).update(**changes)
        row.state = changes.get("state", row.state)
        note_end(row)
    session.refresh_from_db(
        fields=["state", "end_reason", "ended_at", "stop_requested_at", "stop_requested_by", "stop_reason"]
    )
    if session.is_live:
        _nudge({"type": "live.stop", "session_id": session.public_id})
    return True


def delete_session(session: TranscriptionSession) -> list[Tombstone]:
    """Delete a session, its audio, its segments and every trace of their text, and the sessions of its reruns.

    Returns the tombstones that stay, its own last; none where it was gone already. Raises SessionTaken while it, or a
    rerun, is live, and where one of them is protected. What is cut short is gone on with by the jobs of retention.
    """
    stones: list[Tombstone] = []
    with transaction.atomic():
        row = TranscriptionSession.objects.select_for_update().filter(pk=session.pk).first()
        if row is not None:
            _check_deletable(row)
            reruns = along.lock_reruns(row)
            stones = [tombstones.begin(rerun, rerun_of=row.public_id) for rerun in reruns]
            stones.append(tombstones.begin(row, reruns=len(reruns)))
            along.forget_waiting(row.pk)
            # Or its client could take it up again between the pieces.
            detached = TranscriptionSession.objects.filter(pk__in=[one.pk for one in (*reruns, row)])
            detached.filter(state=State.DETACHED).update(**_ended(State.INTERRUPTED, "deleted"))
    for key in [stone.session_key for stone in stones] or [session.pk]:
        if key is not None:
            finish_deletion(key)
    return stones


def finish_deletion(session_key: int) -> None:
    """Go on with a deletion that has begun."""
    count_before_deletion(session_key)
    delete_traces(session_key)
    delete_with_session(session_key, PartFolder.of(get_config()))
    TranscriptionSession.objects.filter(pk=session_key).delete()
    for stone in Tombstone.objects.filter(session_key=session_key, finished_at=None):
        tombstones.finish(stone)


def _check_deletable(row: TranscriptionSession) -> None:
    if row.is_live:
        raise SessionTaken(_("The session is live. Stop it before you delete it."), reason="session_live")
    check_not_protected(row)


def revoke_key(key: ApiKey) -> bool:
    """Take a key back for good. Returns whether it was not before."""
    with transaction.atomic():
        is_news = ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=Now()) > 0
        if is_news:
            record(AuditEvent.What.REVOKED, key, name=key.name)
    return is_news


def replace_key(key: ApiKey, overlap: timedelta) -> str:
    """Give a key another text, and return it: it is nowhere else. Sessions, limits and usage stay with the key.

    overlap: for how long the text it has now is good beside the new one. Raises SessionTaken for a revoked key.
    """
    prefix, text = make_key_text()
    changes = {"prefix": prefix, "digest": digest_of_secret(text)}
    with transaction.atomic():
        row = ApiKey.objects.select_for_update().get(pk=key.pk)
        if row.revoked_at is not None:
            raise SessionTaken(_("This key was revoked. Make another."), reason="key_revoked")
        old = {"previous_prefix": row.prefix, "previous_digest": row.digest, "previous_until": Now() + overlap}
        none = {"previous_prefix": "", "previous_digest": "", "previous_until": None}
        ApiKey.objects.filter(pk=row.pk).update(**changes, **(old if overlap else none))
        record(AuditEvent.What.EDITED, row, fields=["secret"], new_prefix=prefix, overlap_h=overlap // HOUR)
    key.refresh_from_db()
    return text


def _ended(state: str, reason: str) -> dict[str, Any]:
    """What a detached session becomes; it ended when its connection was lost."""
    return {"state": state, "end_reason": reason, "ended_at": F("detached_at"), "resume_until": None}


def _nudge(message: dict[str, Any]) -> None:
    try:
        async_to_sync(_send)(message)
    except Exception as error:
        # Whatever the layer raises (Redis, sockets, a full channel), the flag on the row is read anyway.
        logger.warning("A live session could not be told at once: %s", type(error).__name__)


async def _send(message: dict[str, Any]) -> None:
    layer = get_channel_layer()
    if layer is not None:
        await asyncio.wait_for(layer.group_send(CONTROL_GROUP, message), NUDGE_TIMEOUT_S)
