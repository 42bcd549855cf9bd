"""The pages. Who may see what is decided in access/ alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from asgiref.sync import sync_to_async
from django.contrib import messages
from django.contrib.auth.views import LoginView, redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST, require_safe

from speechsite.config import get_config
from transcription import access, services
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record_once_an_hour, record_watching
from transcription.console.ledger_view import view_ledger
from transcription.console.numbers import console_numbers
from transcription.errors import (
    AtCapacity,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    SessionTaken,
    TooFast,
    TranscriptionError,
)
from transcription.exports import CONTENT_TYPES, transcript_response
from transcription.exports.forms import ExportForm
from transcription.identity.auth import SAFE_METHODS, request_principal
from transcription.identity.principals import Principal
from transcription.identity.scopes import Scope
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.options import TranscriptionConfig
from transcription.pages.review import review_context
from transcription.pages.words import TONES, end_in_words
from transcription.past.rows import speaker_of
from transcription.phrases.offering import offered_sets
from transcription.process import get_process
from transcription.rest import errors as api_errors
from transcription.rest.errors import error_response
from transcription.retention.along import count_reruns
from transcription.retention.protecting import is_protected
from transcription.riva.offer import ANY_LANGUAGE, RivaModel
from transcription.search.session_list import SEGMENTS_PER_PART
from transcription.timeline.rows import read_events
from transcription.timeline.words import timeline_of

DESCRIBE_TIMEOUT_S = 1.0
DEFAULT_LANGUAGE = TranscriptionConfig().language

View = Callable[..., HttpResponseBase]


class LogIn(LoginView):
    """Leads operators to the live page, everybody else to the sessions."""

    redirect_authenticated_user = True

    def get_default_redirect_url(self) -> str:
        return reverse("live" if access.may_watch_live(self.request.user) else "sessions")


def page(view: View) -> View:
    """A view for whoever the request stands for, given as its second argument; our errors become pages."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            principal = request_principal(request)
            access.require_scope(
                principal, Scope.SESSIONS_READ if request.method in SAFE_METHODS else Scope.SESSIONS_WRITE
            )
            # As the HTTP API does: for whatever is recorded on the way.
            request.auth = principal  # type: ignore[attr-defined]
            return view(request, principal, *args, **kwargs)
        except NotAuthenticated:
            return redirect_to_login(request.get_full_path())
        except NotFound as error:
            raise Http404(error.message) from None
        except NotAllowed as error:
            raise PermissionDenied(error.message) from None
        except (TooFast, AtCapacity) as error:
            # Only what comes with a key is counted, and that is a program.
            return error_response(error)

    return never_cache(wrapped)


@require_safe
async def record(request: HttpRequest) -> HttpResponseBase:
    """The recording page, open to whoever may open its socket."""
    languages = await offered_languages()
    return await sync_to_async(_record)(request, languages)


@page
def _record(request: HttpRequest, principal: Principal, languages: list[str]) -> HttpResponse:
    limit_s = round(get_config().session_timeout_minutes * 60)
    minutes, seconds = divmod(limit_s, 60)
    context = {
        "languages": languages,
        "limit_ms": limit_s * 1000,
        "limit_text": _("%(count)s min") % {"count": minutes} if not seconds else _("%(count)s s") % {"count": limit_s},
        "sessions_url": reverse("sessions"),
        "keep_audio": get_config().keep_audio,
        "phrase_sets": offered_sets(principal),
    }
    return render(request, "record.html", context)


async def offered_languages() -> list[str]:
    """What the recogniser offers, the default first; the default alone where it does not say in time."""
    try:
        models = await get_process().recogniser.describe(DESCRIBE_TIMEOUT_S)
    except TranscriptionError:
        models = []
    return list_languages(models)


def list_languages(models: Sequence[RivaModel]) -> list[str]:
    """The languages of models for live audio, the default first if it is among them or there are none."""
    offered = {language for model in models if model.streaming for language in model.languages}
    offered.discard(ANY_LANGUAGE)
    return sorted(offered, key=lambda language: (language != DEFAULT_LANGUAGE, language)) or [DEFAULT_LANGUAGE]


@require_GET
@page
def live(request: HttpRequest, principal: Principal) -> HttpResponse:
    """The console: who speaks right now. Its rows come over `/ws/console/`."""
    if not request.user.is_authenticated:
        raise NotAuthenticated(_("Log in to see live sessions."))
    if not access.may_watch_live(principal):
        return render(request, "console/not_allowed.html", status=403)
    record_once_an_hour(AuditEvent.What.WATCHED_CONSOLE)
    config = get_config()
    context = {
        "kpis": {"capacity": config.max_concurrent_sessions},
        "facts": {
            "limits": {
                "warnShare": config.console_capacity_warn_share,
                "dangerShare": config.console_capacity_danger_share,
                "slowLatencyMs": config.console_slow_latency_ms,
                "slowBacklogMs": config.console_slow_backlog_ms,
            },
            "kpis": {"capacity": config.max_concurrent_sessions, **console_numbers()},
            "user_id": principal.user_id,
        },
        "last_session": _last_session(principal),
        "may_stop": request.user.has_perm(access.Permission.STOP),
    }
    return render(request, "console/live.html", context)


def _last_session(principal: Principal) -> TranscriptionSession | None:
    ended = access.listed_sessions(principal).filter(ended_at__isnull=False)
    return ended.order_by("-created_at", "-pk").first()


@require_GET
@page
def session(request: HttpRequest, principal: Principal, public_id: str) -> HttpResponse:
    """One session, while it is live or afterwards."""
    found = access.get_session(public_id, principal)
    may_read = access.may_read_text(principal, found)
    if may_read:
        record_watching(found)
    context = {
        "session": found,
        "tone": TONES.get(found.state, ""),
        "who": speaker_of(found),
        "end_reason": end_in_words(found),
        "heard_ms": max(found.committed_ms, found.audio_format.bytes_to_ms(found.flushed_bytes)),
        "ledger": view_ledger(found),
        "timeline": timeline_of(found, read_events(found.pk)),
        "may_read": may_read,
        "may_stop": access.may_stop(principal, found),
        "may_listen_in": bool(found.options_applied.get("keep_audio")) and access.may_listen(principal, found),
        "api_path": f"{get_config().api_v1_str}/sessions/{found.public_id}",
        "may_export": may_read and access.may_export(principal, found),
        "may_delete": access.may_delete(principal, found) and not is_protected(found),
        "reruns": count_reruns([found]),
        "events_path": f"{get_config().api_v1_str}/sessions/{found.public_id}/events",
        "formats": list(CONTENT_TYPES),
        **(_transcript_part(found, request.GET.get("part", "")) if may_read else {}),
        **(review_context(found, principal, may_read=may_read) if found.has_ended else {}),
    }
    template = "console/session_ended.html" if found.has_ended else "console/session_live.html"
    return render(request, template, context)


def _transcript_part(session: TranscriptionSession, part: str) -> dict[str, Any]:
    """One part of the transcript; live sessions show their last."""
    segments = TranscriptSegment.objects.filter(session=session).order_by("index")
    last_part = max(0, session.next_seq - 1) // SEGMENTS_PER_PART
    default = 0 if session.has_ended else last_part
    number = min(int(part), last_part) if part.isdecimal() and len(part) < 9 else default
    first = number * SEGMENTS_PER_PART
    shown = list(segments.filter(index__gte=first)[:SEGMENTS_PER_PART])
    return {
        "segments": shown,
        "last_index": shown[-1].index if shown else -1,
        "part": number,
        "parts": range(last_part + 1),
        "text_words": sum(len(segment.text.split()) for segment in shown),
    }


@require_GET
@page
def session_export(request: HttpRequest, principal: Principal, public_id: str, format: str) -> HttpResponseBase:
    """A transcript as a file; the query has the options of the HTTP API."""
    found = access.get_session(public_id, principal, access.exportable_sessions(principal))
    if format not in CONTENT_TYPES:
        raise NotFound(_("There is no such file format."))
    return _export(request, found, ExportForm(request.GET.dict() | {"format": format}))


@require_GET
@page
def session_export_form(request: HttpRequest, principal: Principal, public_id: str) -> HttpResponseBase:
    """The choices of an export; with a format in the query, the file."""
    found = access.get_session(public_id, principal, access.exportable_sessions(principal))
    return _export(request, found, ExportForm(request.GET if "format" in request.GET else None))


def _export(request: HttpRequest, session: TranscriptionSession, form: ExportForm) -> HttpResponseBase:
    if form.is_valid():
        return transcript_response(request, session, form.cleaned_data["format"], form.options())
    context = {"session": session, "export_form": form}
    return render(request, "console/export.html", context, status=400 if form.is_bound else 200)


@require_POST
@page
def session_stop(request: HttpRequest, principal: Principal, public_id: str) -> HttpResponse:
    """Stop a live session; the reason is told to the speaker. JSON for the console's script."""
    found = access.get_session(public_id, principal, access.stoppable_sessions(principal))
    was_live = services.request_stop(found, request.user, request.POST.get("reason", ""))
    if request.headers.get("Accept") == "application/json":
        return JsonResponse({"stop_requested": was_live})
    if was_live:
        messages.success(request, _("The session is being stopped; its last words are still stored."))
    else:
        messages.info(request, _("The session had already ended."))
    return redirect("session", public_id=public_id)


@require_POST
@page
def session_delete(request: HttpRequest, principal: Principal, public_id: str) -> HttpResponse:
    found = access.get_session(public_id, principal, access.deletable_sessions(principal))
    try:
        services.delete_session(found)
    except SessionTaken as error:
        messages.error(request, error.message)
        return redirect("session", public_id=public_id)
    messages.success(request, _("Deleted: %(title)s") % {"title": str(found)})
    return redirect("sessions")


@require_GET
@page
def health(request: HttpRequest, principal: Principal) -> HttpResponse:
    """What /readyz says, in words; the script asks it from the browser, so that what is shown is what probes see."""
    return render(request, "console/health.html")


def in_shape(path: str) -> bool:
    """Whether errors at this address have the API's shape."""
    return path.startswith((f"{get_config().api_v1_str}/", "/v1/"))


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """What is refused before any view is asked, such as a host that is not ours."""
    if in_shape(request.path):
        return api_errors.error_response(api_errors.bad_request())
    # Without a request, as Django's own: what its context needs may not be there yet.
    return HttpResponse(render_to_string("400.html", {"project_name": get_config().project_name}), status=400)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    message = str(exception) if isinstance(exception, PermissionDenied) else ""
    return render(request, "403.html", {"message": message}, status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if in_shape(request.path):
        return api_errors.error_response(api_errors.not_found())
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    """Without context processors: what they need may be what failed."""
    if in_shape(request.path):
        return api_errors.error_response(api_errors.internal_error())
    content = render_to_string("500.html", {"project_name": get_config().project_name})
    return HttpResponse(content, status=500)
