"""What belongs to the live page and a live session's page: the list without scripts, charts, log, a test session."""

from __future__ import annotations

from dataclasses import asdict

from asgiref.sync import async_to_sync, sync_to_async
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from transcription import access
from transcription.console.last_hour import read_last_hour
from transcription.console.live_list import LiveFilter, read_list
from transcription.console.sample_session import get_samples
from transcription.errors import NotAllowed, TranscriptionError
from transcription.files.service import Client
from transcription.identity.principals import Principal
from transcription.pages.views import page
from transcription.process import get_process
from transcription.timeline.rows import read_events
from transcription.timeline.words import timeline_of


@require_GET
@page
def live_table(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The live page as a plain list, for browsers without scripts; it takes the same query."""
    _check_may_watch(principal)
    chosen = LiveFilter.of(request.GET, user_id=principal.user_id)
    found = read_list(chosen, captions=access.may_read_all_captions(principal))
    context = {
        "rows": found.rows,
        "total": found.total,
        "filter": chosen,
        "now": timezone.now(),
        "may_stop": request.user.has_perm(access.Permission.STOP),
    }
    return render(request, "console/live_table.html", context)


@require_GET
@page
def last_hour(request: HttpRequest, principal: Principal) -> JsonResponse:
    """The last sixty minutes: `{"minutes": [{"at", "live", "errors", "first_interim_ms", "final_lag_ms"}, …]}`."""
    _check_may_watch(principal)
    return JsonResponse({"minutes": [asdict(minute) for minute in read_last_hour()]})


@require_POST
async def start_test_session(request: HttpRequest) -> HttpResponseBase:
    """Have a clip heard by the recogniser, as a session like any other, and go back to the live page to see it."""
    return await sync_to_async(_start_test_session)(request)


@page
def _start_test_session(request: HttpRequest, principal: Principal) -> HttpResponse:
    _check_may_watch(principal)
    client = Client(principal, request.META.get("REMOTE_ADDR"), request.headers.get("User-Agent", ""))
    try:
        # Back on the loop of the server, where sessions live.
        async_to_sync(_start)(client)
    except TranscriptionError as error:
        messages.error(request, error.message)
    return redirect("live")


async def _start(client: Client) -> None:
    process = get_process()
    await process.start()
    await get_samples(process).start(client)


@require_GET
@page
def session_timeline(request: HttpRequest, principal: Principal, public_id: str) -> JsonResponse:
    """What happened to a session so far, in words: at (ISO 8601), text, tone, and audio_ms where it is known."""
    found = access.get_session(public_id, principal)
    entries = timeline_of(found, read_events(found.pk))
    return JsonResponse({"entries": [asdict(entry) for entry in entries]})


def _check_may_watch(principal: Principal) -> None:
    if not access.may_watch_live(principal):
        raise NotAllowed(_("This needs the permission to watch live sessions."))
