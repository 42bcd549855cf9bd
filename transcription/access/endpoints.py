"""Who may see and change which webhook endpoints, and which of them still hear of anything."""

from __future__ import annotations

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from transcription.access.people import NOTHING, Who
from transcription.access.sessions import may_read_all_captions
from transcription.webhooks.models import WebhookEndpoint


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
