"""The phrases of a set, for the recording page."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from transcription.access import usable_phrase_sets
from transcription.errors import NotFound
from transcription.identity.principals import Principal
from transcription.pages.views import page

MAX_NUMBER = 2**63 - 1


@require_GET
@page
def phrase_set(request: HttpRequest, principal: Principal, number: int) -> HttpResponse:
    """A speech context, as the options of a session take it."""
    found = usable_phrase_sets(principal).filter(pk=number).first() if number <= MAX_NUMBER else None
    if found is None:
        raise NotFound(_("There is no such phrase set."))
    return JsonResponse(found.speech_context.model_dump())
