"""Whom a request stands for: what is their own, and what permissions they have beyond that."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q
from django.utils.translation import gettext as _

from transcription.audit.actors import user_of_request
from transcription.errors import NotAllowed
from transcription.identity.scopes import Scope
from transcription.models import ApiKey

if TYPE_CHECKING:
    from transcription.identity.principals import Principal

Who: TypeAlias = "Principal | User | AnonymousUser"

NOTHING = Q(pk__in=())


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


def owned_by(user_id: int) -> Q:
    """Sessions under a user's name or made with their keys.

    The keys are looked up before: a condition over both tables could use neither index.
    """
    keys = list(ApiKey.objects.filter(owner=user_id).values_list("pk", flat=True))
    return Q(owner=user_id) | Q(api_key__in=keys) if keys else Q(owner=user_id)


def own(who: Who, user: User | AnonymousUser | None) -> Q:
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


def user_of(who: Who) -> User | AnonymousUser | None:
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


def has_all(user: User | AnonymousUser | None, permissions: set[Permission]) -> bool:
    return user is not None and user.has_perms([permission.value for permission in permissions])
