"""Operations of the HTTP API on webhook endpoints and their deliveries."""

from __future__ import annotations

from django.db import transaction
from django.db.models import Q
from django.http import HttpRequest
from ninja import Query, Router, Status

from speechsite.config import get_config
from transcription.access import own_endpoints
from transcription.audit.recording import record_watching
from transcription.identity.scopes import Scope
from transcription.jobs.in_process import jobs
from transcription.rest.authentication import principal_of
from transcription.rest.errors import COMMON_ERRORS, ONE_OBJECT_ERRORS
from transcription.rest.idempotency_key import idempotent
from transcription.rest.schemas import Cursor, ErrorAnswer
from transcription.webhooks import endpoints
from transcription.webhooks.models import WebhookEndpoint
from transcription.webhooks.schemas import (
    DeliveryAnswer,
    DeliveryDetail,
    DeliveryFilters,
    DeliveryPage,
    EndpointAnswer,
    EndpointChange,
    EndpointList,
    EndpointRequest,
    EndpointSecret,
    RotateRequest,
)
from transcription.webhooks.targets import TargetRules

router = Router(tags=["webhooks"])


@router.post(
    "/webhooks",
    operation_id="create_webhook",
    summary="Make an endpoint, and get the secret its deliveries are signed with",
    response={201: EndpointSecret, COMMON_ERRORS | {400, 409, 429}: ErrorAnswer},
)
@idempotent(secrets=("secret",))
def create_webhook(request: HttpRequest, wanted: EndpointRequest) -> Status[EndpointSecret]:
    principal = principal_of(request, Scope.WEBHOOKS)
    endpoint = endpoints.create_endpoint(principal, TargetRules.of(get_config()), **wanted.model_dump())
    return Status(201, EndpointSecret.of(endpoint, secret=endpoint.secret))


@router.get(
    "/webhooks",
    operation_id="list_webhooks",
    summary="Your endpoints, newest first",
    response={200: EndpointList, COMMON_ERRORS: ErrorAnswer},
)
def list_webhooks(request: HttpRequest) -> EndpointList:
    found = own_endpoints(principal_of(request, Scope.WEBHOOKS)).order_by("-created_at", "-pk")
    return EndpointList(endpoints=[EndpointAnswer.of(endpoint) for endpoint in found])


@router.get(
    "/webhooks/{endpoint_id}",
    operation_id="read_webhook",
    summary="One endpoint",
    response={200: EndpointAnswer, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_webhook(request: HttpRequest, endpoint_id: str) -> EndpointAnswer:
    return EndpointAnswer.of(_endpoint(request, endpoint_id))


@router.patch(
    "/webhooks/{endpoint_id}",
    operation_id="change_webhook",
    summary="Change an endpoint, or enable it again",
    response={200: EndpointAnswer, ONE_OBJECT_ERRORS | {400}: ErrorAnswer},
)
def change_webhook(request: HttpRequest, endpoint_id: str, wanted: EndpointChange) -> EndpointAnswer:
    endpoint = _endpoint(request, endpoint_id)
    principal = principal_of(request, Scope.WEBHOOKS)
    changes = wanted.model_dump(exclude_unset=True)
    endpoints.change_endpoint(endpoint, principal, TargetRules.of(get_config()), changes)
    return EndpointAnswer.of(endpoint)


@router.delete(
    "/webhooks/{endpoint_id}",
    operation_id="delete_webhook",
    summary="Delete an endpoint, with the log of its deliveries",
    response={204: None, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def delete_webhook(request: HttpRequest, endpoint_id: str) -> Status[None]:
    endpoints.delete_endpoint(_endpoint(request, endpoint_id))
    return Status(204, None)


@router.post(
    "/webhooks/{endpoint_id}/rotate-secret",
    operation_id="rotate_webhook_secret",
    summary="Make a new secret; the old one is good for a while yet",
    response={200: EndpointSecret, ONE_OBJECT_ERRORS | {400, 409}: ErrorAnswer},
)
@idempotent(secrets=("secret",))
def rotate_webhook_secret(
    request: HttpRequest, endpoint_id: str, wanted: RotateRequest | None = None
) -> EndpointSecret:
    endpoint = _endpoint(request, endpoint_id)
    endpoints.rotate_secret(endpoint, (wanted or RotateRequest()).overlap_hours)
    return EndpointSecret.of(endpoint, secret=endpoint.secret)


@router.post(
    "/webhooks/{endpoint_id}/test",
    operation_id="test_webhook",
    summary="Send an endpoint.test",
    response={202: DeliveryAnswer, ONE_OBJECT_ERRORS | {409, 429}: ErrorAnswer},
)
@idempotent()
def test_webhook(request: HttpRequest, endpoint_id: str) -> Status[DeliveryAnswer]:
    delivery = endpoints.send_test(_endpoint(request, endpoint_id))
    transaction.on_commit(jobs.wake)
    return Status(202, DeliveryAnswer.of(delivery))


@router.get(
    "/webhooks/{endpoint_id}/deliveries",
    operation_id="list_webhook_deliveries",
    summary="What was sent to an endpoint and what came of it, newest first",
    response={200: DeliveryPage, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def list_webhook_deliveries(request: HttpRequest, endpoint_id: str, filters: Query[DeliveryFilters]) -> DeliveryPage:
    conditions = Q()
    if filters.state is not None:
        conditions &= Q(state=filters.state)
    if filters.event is not None:
        conditions &= Q(event_type=filters.event)
    if filters.cursor:
        conditions &= Cursor.parse(filters.cursor).conditions()
    deliveries = _endpoint(request, endpoint_id).deliveries.filter(conditions).order_by("-created_at", "-pk")
    found = list(deliveries.select_related("session").defer("body", "response_excerpt")[: filters.limit + 1])
    page = found[: filters.limit]
    has_more = len(found) > len(page)
    return DeliveryPage(
        deliveries=[DeliveryAnswer.of(delivery) for delivery in page],
        next=str(Cursor(page[-1].created_at, page[-1].pk)) if has_more else None,
    )


@router.get(
    "/webhooks/{endpoint_id}/deliveries/{event_id}",
    operation_id="read_webhook_delivery",
    summary="One delivery, with its payload",
    response={200: DeliveryDetail, ONE_OBJECT_ERRORS: ErrorAnswer},
)
def read_webhook_delivery(request: HttpRequest, endpoint_id: str, event_id: str) -> DeliveryDetail:
    delivery = endpoints.get_delivery(_endpoint(request, endpoint_id), event_id)
    if delivery.session is not None:
        record_watching(delivery.session)
    return DeliveryDetail.of(delivery)


@router.post(
    "/webhooks/{endpoint_id}/deliveries/{event_id}/resend",
    operation_id="resend_webhook_delivery",
    summary="Send a delivery once more, with the same id",
    response={202: DeliveryAnswer, ONE_OBJECT_ERRORS | {409}: ErrorAnswer},
)
@idempotent()
def resend_webhook_delivery(request: HttpRequest, endpoint_id: str, event_id: str) -> Status[DeliveryAnswer]:
    endpoint = _endpoint(request, endpoint_id)
    delivery = endpoints.get_delivery(endpoint, event_id)
    endpoints.resend(endpoint, delivery)
    transaction.on_commit(jobs.wake)
    return Status(202, DeliveryAnswer.of(delivery))


def _endpoint(request: HttpRequest, endpoint_id: str) -> WebhookEndpoint:
    return endpoints.get_endpoint(endpoint_id, principal_of(request, Scope.WEBHOOKS))
