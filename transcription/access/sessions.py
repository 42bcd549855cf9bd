"""Who may see, read, hear, stop, change, export, protect and delete which transcription sessions."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from transcription.access.people import Permission, Who, has_all, own, user_of
from transcription.errors import NotAllowed, NotFound
from transcription.models import TranscriptionSession
from transcription.options import SESSION_ID_PATTERN

if TYPE_CHECKING:
    from transcription.retention.models import Protection

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


def listed_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions whose existence and facts (not the text) may be seen."""
    return _sessions(who, [{Permission.VIEW}, {Permission.VIEW_LIVE}, {Permission.VIEW_CAPTIONS}])


def visible_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions whose text may be read."""
    return _sessions(who, [{Permission.VIEW_CAPTIONS}])


def stoppable_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions that may be stopped while they are live."""
    return _sessions(who, [{Permission.STOP}])


def changeable_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions whose title and metadata may be changed."""
    return _sessions(who, [{Permission.CHANGE}])


def exportable_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions whose transcript may be downloaded."""
    return _sessions(who, [{Permission.VIEW_CAPTIONS, Permission.EXPORT}])


def audible_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions whose audio may be heard, where it was kept."""
    return _sessions(who, [{Permission.VIEW_CAPTIONS, Permission.LISTEN}])


def reviewable_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions whose transcript may be corrected."""
    return _sessions(who, [{Permission.VIEW_CAPTIONS, Permission.REVIEW}])


def reviewers() -> QuerySet[User]:
    """Those who may review transcripts of others."""
    user_model = get_user_model()
    with_both = [
        user_model.objects.with_perm(permission.value, is_active=True, backend=MODEL_BACKEND).values("pk")
        for permission in (Permission.VIEW_CAPTIONS, Permission.REVIEW)
    ]
    return user_model.objects.filter(*(Q(pk__in=users) for users in with_both)).order_by("username")


def deletable_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions that may be deleted, with their segments."""
    return _sessions(who, [{Permission.DELETE}])


def protectable_sessions(who: Who) -> QuerySet[TranscriptionSession]:
    """Sessions that may be protected from deletion."""
    return _sessions(who, [{Permission.PROTECT}])


def may_list(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(listed_sessions(who), session)


def may_read_text(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(visible_sessions(who), session)


def may_stop(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(stoppable_sessions(who), session)


def may_change(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(changeable_sessions(who), session)


def may_export(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(exportable_sessions(who), session)


def may_listen(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(audible_sessions(who), session)


def may_review(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(reviewable_sessions(who), session)


def may_delete(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(deletable_sessions(who), session)


def may_protect(who: Who, session: TranscriptionSession) -> bool:
    return _is_among(protectable_sessions(who), session)


def may_unprotect(who: Who, protection: Protection) -> bool:
    """By who made it, and by who looks after all of them: not by the owner, from whom it may be meant to protect.

    What was protected with a key may be let go by the same key, and by whoever owns that: not by another key of theirs.
    """
    user = user_of(who)
    if has_all(user, {Permission.UNPROTECT}):
        return True
    if user is not None:
        return user.is_authenticated and user.is_active and user.pk == protection.user_id
    if isinstance(who, (User, AnonymousUser)):
        return False
    if who.kind == "key":
        return who.key_id is not None and who.key_id == protection.api_key_id
    # Who comes without an account has no name but this.
    return who.kind == "local" and protection.api_key_id is None and protection.protected_by == who.label


def may_watch_live(who: Who) -> bool:
    """Whether the list of all live sessions is open to them (the console)."""
    return has_all(user_of(who), {Permission.VIEW_LIVE})


def may_see_numbers(who: Who) -> bool:
    """Whether the figures of everyone's sessions together are open to them."""
    return may_watch_live(who)


def may_read_all_captions(who: Who) -> bool:
    """Whether the text of every session is open to them."""
    return has_all(user_of(who), {Permission.VIEW_CAPTIONS})


def get_session(
    public_id: str, who: Who, allowed: QuerySet[TranscriptionSession] | None = None
) -> TranscriptionSession:
    """The session with this id, owner and key at hand.

    allowed: the sessions on which the caller may do what they are about to (`exportable_sessions(who)`);
    seeing them is enough without it.
    Raises NotFound if they may not see it, NotAllowed if they see it but may not do that.
    """
    listed = listed_sessions(who).select_related("owner", "api_key__owner", "protection")
    # What cannot be an id is not looked for: PostgreSQL would fail on a NUL.
    is_an_id = re.fullmatch(SESSION_ID_PATTERN, public_id) is not None
    session = listed.filter(public_id=public_id).first() if is_an_id else None
    if session is None:
        raise NotFound(_("There is no such transcription session."))
    if allowed is not None and not allowed.filter(pk=session.pk).exists():
        raise NotAllowed(_("You may see that this transcription session exists, but not do this with it."))
    return session


def _sessions(who: Who, enough: list[set[Permission]]) -> QuerySet[TranscriptionSession]:
    """Own sessions, or all of them for a user who has every permission of one of the sets."""
    user = user_of(who)
    if any(has_all(user, permissions) for permissions in enough):
        return TranscriptionSession.objects.all()
    return TranscriptionSession.objects.filter(own(who, user))


def _is_among(sessions: QuerySet[TranscriptionSession], session: TranscriptionSession) -> bool:
    """Whether a session that was just read is one of these; of all of them it is, and nothing is asked."""
    return not sessions.query.where or sessions.filter(pk=session.pk).exists()
