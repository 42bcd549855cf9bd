"""Protecting a session from its page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from transcription import access
from transcription.errors import BadConfig, SessionTaken
from transcription.identity.principals import Principal
from transcription.pages.views import page
from transcription.retention.protecting import protect, unprotect


@require_POST
@page
def session_protect(request: HttpRequest, principal: Principal, public_id: str) -> HttpResponse:
    found = access.get_session(public_id, principal, access.protectable_sessions(principal))
    try:
        protect(found, request.POST.get("reason", ""))
    except (BadConfig, SessionTaken) as error:
        messages.error(request, error.message)
    else:
        messages.success(request, _("The session is protected: nobody and no rule deletes it."))
    return redirect("session", public_id=public_id)


@require_POST
@page
def session_unprotect(request: HttpRequest, principal: Principal, public_id: str) -> HttpResponse:
    found = access.get_session(public_id, principal)
    unprotect(found, principal)
    messages.success(request, _("The session is not protected any more."))
    return redirect("session", public_id=public_id)
