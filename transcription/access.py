"""Who may see, stop, export and delete which transcription sessions; pages, sockets and the API ask here.

Everybody has their own sessions: a user those under their name or made with their keys; a key those made
with it or owned by its owner; a short-lived token the one it was issued for, or those of whoever got it; a
loopback client of the development profile those without owner and key. Beyond that only users get anywhere, by
permission:

    view_live, view_transcriptionsession   that sessions of others exist, and their facts
    view_live                              the figures of all sessions together
    view_captions                          the text of others
    stop_transcriptionsession              stop live sessions of others
    change_transcriptionsession            give sessions of others another title or metadata
    export_transcriptionsession            download what they may read of others
    listen_transcriptionsession            hear what they may read of others, live too
    delete_transcriptionsession            delete sessions of others
    change_transcriptsegment               with view_captions: review transcripts of others
    retention.add_protection               protect sessions of others from deletion
    retention.delete_protection            end protections that others made

Whoever may read the text of a session may put notes on it, and change their own; who may review it, everybody's.

What somebody may not see does not exist for them: the answer is NotFound. NotAllowed is said only of what
they can see. `Who` is a Django user (pages) or a Principal (sockets, API); both get the same answers.

What a key or token may be used for at all is a question before these: require_scope().

A phrase set belongs to its owner, or to everybody; others see it nowhere but in the admin.

A webhook endpoint belongs to whoever made it, and hears of their own sessions; one that reaches all sessions does as
long as its owner has view_captions.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from transcription.audit.actors import user_of_request
from transcription.errors import NotAllowed, NotFound
from transcription.files.models import FileJob
from transcription.identity.scopes import Scope
from transcription.models import ApiKey, TranscriptionSession
from transcription.options import SESSION_ID_PATTERN
from transcription.phrases.models import PhraseSet
from transcription.webhooks.models import WebhookEndpoint

if TYPE_CHECKING:
    from transcription.identity.principals import Principal
    from transcription.retention.models import Protection

Who: TypeAlias = "Principal | User | AnonymousUser"

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"
NOTHING = Q(pk__in=())
EVERYTHING = Q()


class Permission(StrEnum):
    """What reaches beyond one's own sessions."""

    VIEW_LIVE = "transcription.view_live"
    VIEW = "transcription.view_transcriptionsession"
    VIEW_CAPTIONS = "transcription.view_captions"
    STOP = "transcription.stop_transcriptionsession"
    CHANGE = "transcription.change_transcriptionsession"
    EXPORT = "transcription.export_transcriptionsession"
    LISTEN = "transcription.listen_transcriptionsession"
    DELETE = "transcription.delete_transcriptionsession"
    REVIEW = "transcription.change_transcriptsegment"
    PROTECT = "retention.add_protection"
    UNPROTECT = "retention.delete_protection"


def require_scope(principal: Principal, scope: Scope) -> None:
    """Raise NotAllowed, naming the scope, unless these credentials may be used for that."""
    if not principal.has_scope(scope):
        raise NotAllowed(
            _("These credentials may not be used for that: they lack the scope %(scope)s.") % {"scope": scope.value},
            reason="scope_missing",
        )


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


def visible_jobs(who: Who) -> QuerySet[FileJob]:
    """File jobs that may be seen: one's own, and all by who may see every session."""
    user = _user(who)
    if _has_all(user, {Permission.VIEW}):
        return FileJob.objects.all()
    return FileJob.objects.filter(_own(who, user))


def get_job(public_id: str, who: Who) -> FileJob:
    """The job with this id, its session at hand. Raises NotFound if they may not see it."""
    is_an_id = re.fullmatch(SESSION_ID_PATTERN, public_id) is not None
    job = visible_jobs(who).select_related("session").filter(public_id=public_id).first() if is_an_id else None
    if job is None:
        raise NotFound(_("There is no such file job."))
    return job


def may_cancel_job(who: Who, job: FileJob) -> bool:
    """Their own, or by who may stop sessions of others."""
    user = _user(who)
    return _has_all(user, {Permission.STOP}) or FileJob.objects.filter(_own(who, user), pk=job.pk).exists()


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
    user = _user(who)
    if _has_all(user, {Permission.UNPROTECT}):
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
    return _has_all(_user(who), {Permission.VIEW_LIVE})


def may_see_numbers(who: Who) -> bool:
    """Whether the figures of everyone's sessions together are open to them."""
    return may_watch_live(who)


def may_read_all_captions(who: Who) -> bool:
    """Whether the text of every session is open to them."""
    return _has_all(_user(who), {Permission.VIEW_CAPTIONS})


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


def usable_phrase_sets(who: Who) -> QuerySet[PhraseSet]:
    """Phrase sets that they may record with: their own and those of everybody."""
    user = _user(who)
    if user is not None and not (user.is_authenticated and user.is_active):
        return PhraseSet.objects.none()
    user_id = user.pk if user is not None else who.user_id  # type: ignore[union-attr]  # no user: a principal
    own = Q(owner=user_id) if user_id is not None else NOTHING
    return PhraseSet.objects.filter(own | Q(owner=None))


def own_endpoints(who: Who) -> QuerySet[WebhookEndpoint]:
    """Webhook endpoints that may be read, changed and deleted: those of the same owner, or made with the same key."""
    return WebhookEndpoint.objects.filter(_own_endpoints(who))


def _own_endpoints(who: Who) -> Q:
    if isinstance(who, (User, AnonymousUser)):
        return Q(owner=who.pk) if who.is_authenticated and who.is_active else NOTHING
    match who.kind:
        case "user" | "key" if who.user_id is not None:
            return Q(owner=who.user_id)
        case "key" if who.key_id is not None:
            return Q(owner=None, api_key=who.key_id)
        case "local":
            return Q(owner=None, api_key=None)
    return NOTHING


def usable_endpoints() -> QuerySet[WebhookEndpoint]:
    """Endpoints that are enabled, and whose owner and key may still use the service."""
    return WebhookEndpoint.objects.filter(endpoint_is_trusted(), enabled=True)


def endpoint_is_trusted() -> Q:
    """Whether who made an endpoint may still use the service, for a filter of endpoints.

    Whoever revokes a key ends what was set up with it. One that expires is replaced in the course of things: then
    an owner's endpoints go on, and only those that nobody could look after any more end with it.
    """
    is_key_good = Q(api_key=None) | Q(api_key__revoked_at=None)
    is_looked_after = (
        Q(owner__is_active=True)
        | Q(owner=None, api_key=None)
        | Q(owner=None, api_key__expires_at=None)
        | Q(owner=None, api_key__expires_at__gt=Now())
    )
    return is_key_good & is_looked_after


def hearing_endpoints() -> list[WebhookEndpoint]:
    """Usable endpoints, without those that reach all sessions for an owner who may not read them any more."""
    return [
        endpoint
        for endpoint in usable_endpoints().select_related("owner")
        if endpoint.reach == WebhookEndpoint.Reach.OWN
        or (endpoint.owner is not None and may_read_all_captions(endpoint.owner))
    ]


def _sessions(who: Who, enough: list[set[Permission]]) -> QuerySet[TranscriptionSession]:
    """Own sessions, or all of them for a user who has every permission of one of the sets."""
    user = _user(who)
    if any(_has_all(user, permissions) for permissions in enough):
        return TranscriptionSession.objects.all()
    return TranscriptionSession.objects.filter(_own(who, user))


def _is_among(sessions: QuerySet[TranscriptionSession], session: TranscriptionSession) -> bool:
    """Whether a session that was just read is one of these; of all of them it is, and nothing is asked."""
    return not sessions.query.where or sessions.filter(pk=session.pk).exists()


def _own(who: Who, user: User | AnonymousUser | None) -> Q:
    if user is not None:
        if not user.is_authenticated or not user.is_active:
            return NOTHING
        return owned_by(user.pk)
    if isinstance(who, (User, AnonymousUser)):
        return NOTHING
    if who.kind == "token" and who.session_id is not None:
        return Q(public_id=who.session_id, owner=who.user_id, api_key=who.key_id)
    if who.key_id is not None:
        by_owner = Q(owner=who.user_id) if who.user_id is not None else NOTHING
        return Q(api_key=who.key_id) | by_owner
    if who.kind == "token" and who.user_id is not None:
        return owned_by(who.user_id)
    return Q(owner=None, api_key=None) if who.kind in ("token", "local") else NOTHING


def owned_by(user_id: int) -> Q:
    """Sessions under a user's name or made with their keys.

    The keys are looked up before: a condition over both tables could use neither index.
    """
    keys = list(ApiKey.objects.filter(owner=user_id).values_list("pk", flat=True))
    return Q(owner=user_id) | Q(api_key__in=keys) if keys else Q(owner=user_id)


def _user(who: Who) -> User | AnonymousUser | None:
    """The user whose permissions count; None for keys, tokens and local clients: they have none."""
    if isinstance(who, (User, AnonymousUser)):
        return who
    if who.kind != "user":
        return None
    if who.user_id is None:
        return AnonymousUser()
    known = user_of_request()
    if known is not None and known.pk == who.user_id:
        # Read for this very request, and it keeps its permissions: a page asks ten times.
        return known
    return get_user_model().objects.filter(pk=who.user_id).first() or AnonymousUser()


def _has_all(user: User | AnonymousUser | None, permissions: set[Permission]) -> bool:
    return user is not None and user.has_perms([permission.value for permission in permissions])
