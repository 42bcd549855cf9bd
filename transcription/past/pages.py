"""The list of past sessions, and what is done to the sessions that are chosen in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from transcription import access
from transcription.audit.recording import record_exports, record_search
from transcription.exports import CONTENT_TYPES, ZIP_CONTENT_TYPE, streamed, write_zip
from transcription.exports.forms import EVERY_FORMAT, ZipForm
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession
from transcription.pages.views import page
from transcription.past import bulk, saved_views
from transcription.past.filters import SessionFilterForm
from transcription.past.rows import make_rows, name_of
from transcription.retention.along import count_reruns
from transcription.search.session_list import PAGE_SIZE, capped_count, hits_by_session, read_page

# Of the reviewers that may be chosen.
MAX_REVIEWERS_SHOWN = 200
NAMES_SHOWN = 5
MAX_NUMBER_DIGITS = 19
NOBODY = "0"


@require_GET
@page
def sessions(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """A page of the list. Without any query it is the user's own first view."""
    if not request.GET and (query := saved_views.default_query(_user_id(request))):
        return redirect(f"{reverse('sessions')}?{query}")
    form = SessionFilterForm(request.GET)
    who = _who(request, principal)
    found = form.filter(who, principal.user_id)
    shown = read_page(found, before=request.GET.get("before", ""), after=request.GET.get("after", ""))
    count, has_more = capped_count(found)
    hits = hits_by_session(who, found.text, shown.sessions)
    record_search([session for session in shown.sessions if session.pk in hits], found.text)
    query = saved_views.clean_query(request.GET)
    views = saved_views.views_of(_user_id(request))
    context = {
        "form": form,
        "rows": make_rows(who, shown.sessions, hits),
        "page": shown,
        "count": count,
        "has_more": has_more,
        "query": query,
        "place": _place(request),
        "views": views,
        "current_view": next((view for view in views if view.query == query), None),
        "has_account": request.user.is_authenticated,
        **_offers(who, shown.sessions),
    }
    return render(request, "console/sessions.html", context)


def _who(request: HttpRequest, principal: Principal) -> access.Who:
    """A user as one object: it remembers its permissions, which a principal looks up for each question."""
    return request.user if principal.kind == "user" else principal


def _offers(who: access.Who, shown: list[TranscriptionSession]) -> dict[str, Any]:
    """What may be done to any session of the page."""
    keys = [session.pk for session in shown]

    def is_offered(allowed: QuerySet[TranscriptionSession]) -> bool:
        # Without conditions it is all of them.
        return bool(keys) and (not allowed.query.where or allowed.filter(pk__in=keys).exists())

    offers: dict[str, Any] = {
        "may_export": is_offered(access.exportable_sessions(who)),
        "may_delete": is_offered(access.deletable_sessions(who)),
        "may_assign": is_offered(access.changeable_sessions(who)),
        "may_review": is_offered(access.reviewable_sessions(who)),
    }
    offers["may_choose"] = any(offers.values())
    offers["formats"] = list(CONTENT_TYPES)
    if offers["may_assign"]:
        offers["reviewers"] = [(user.pk, name_of(user)) for user in access.reviewers()[:MAX_REVIEWERS_SHOWN]]
    return offers


@require_POST
@page
def sessions_do(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    """Do one thing to the chosen sessions; back to the list, which says what was done."""
    action = ACTIONS.get(request.POST.get("action", ""))
    if action is None:
        raise Http404(_("There is no such action."))
    allowed = action.allowed(principal)
    public_ids = request.POST.getlist("chosen")
    chosen, refused = bulk.choose(access.listed_sessions(principal), allowed, public_ids)
    if refused:
        messages.error(request, _("Nothing was done. You may not do this to: %(names)s") % {"names": _names(refused)})
    elif not chosen:
        messages.error(request, _("No session was chosen. Tick those it is to be done to."))
    else:
        return action.run(request, principal, chosen)
    return _back(request)


def _export(request: HttpRequest, principal: Principal, chosen: list[TranscriptionSession]) -> HttpResponseBase:
    """The ZIP at once; what is left out of the form is as usual."""
    form = ZipForm(request.POST.dict() | {"format": request.POST.get("format", EVERY_FORMAT)})
    if not form.is_valid():
        return _choose_export(request, chosen, form)
    record_exports(len(chosen), [session.public_id for session in chosen], form.cleaned_data["format"])
    files = write_zip(chosen, formats=form.formats(), limit=PAGE_SIZE, options=form.options())
    headers = {"Content-Disposition": 'attachment; filename="transcripts.zip"'}
    return streamed(request, files, content_type=ZIP_CONTENT_TYPE, headers=headers)


def _export_options(request: HttpRequest, principal: Principal, chosen: list[TranscriptionSession]) -> HttpResponseBase:
    return _choose_export(request, chosen, ZipForm(initial={"format": request.POST.get("format", EVERY_FORMAT)}))


def _choose_export(request: HttpRequest, chosen: list[TranscriptionSession], form: ZipForm) -> HttpResponseBase:
    context = {"sessions": chosen, "export_form": form, "query": _return_query(request)}
    return render(request, "console/sessions_export.html", context, status=400 if form.is_bound else 200)


def _delete(request: HttpRequest, principal: Principal, chosen: list[TranscriptionSession]) -> HttpResponseBase:
    """Asks first; of many, the number has to be typed."""
    must_type = bulk.must_be_typed(len(chosen))
    is_typed = request.POST.get("typed", "").strip() == str(len(chosen))
    if "confirmed" not in request.POST or (must_type and not is_typed):
        context = {
            "sessions": chosen,
            "must_type": must_type,
            "is_wrong": "confirmed" in request.POST,
            "reruns": count_reruns(chosen),
            "segments": sum(session.segment_count for session in chosen),
            "audio_ms": sum(session.audio_ms for session in chosen),
            "query": _return_query(request),
        }
        return render(request, "console/sessions_delete.html", context, status=400 if context["is_wrong"] else 200)
    done, refused = bulk.delete_sessions(chosen)
    _tell(request, ngettext("%(count)d session was deleted.", "%(count)d sessions were deleted.", done), done)
    if refused:
        messages.error(request, _("Live or protected, so not deleted: %(names)s") % {"names": _names(refused)})
    return _back(request)


def _assign(request: HttpRequest, principal: Principal, chosen: list[TranscriptionSession]) -> HttpResponseBase:
    wanted = request.POST.get("reviewer", "")
    reviewer: User | None = None
    if wanted != NOBODY:
        reviewer = (
            access.reviewers().filter(pk=int(wanted)).first() if wanted.isdecimal() and len(wanted) < 19 else None
        )
        if reviewer is None:
            messages.error(request, _("Nothing was done. Choose who shall review."))
            return _back(request)
    done, _refused = bulk.assign_reviewer(chosen, reviewer, principal.user_id)
    if reviewer is None:
        _tell(
            request,
            ngettext("%(count)d session has no reviewer now.", "%(count)d sessions have no reviewer now.", done),
            done,
        )
    else:
        told = ngettext("%(name)s is to review %(count)d session.", "%(name)s is to review %(count)d sessions.", done)
        _tell(request, told, done, name=name_of(reviewer))
    return _back(request)


def _mark_reviewed(request: HttpRequest, principal: Principal, chosen: list[TranscriptionSession]) -> HttpResponseBase:
    done, refused = bulk.mark_reviewed(chosen, principal)
    _tell(
        request,
        ngettext("%(count)d session is marked reviewed.", "%(count)d sessions are marked reviewed.", done),
        done,
    )
    if refused:
        messages.error(request, _("Not ended yet, or edited right now: %(names)s") % {"names": _names(refused)})
    return _back(request)


class _Action:
    """allowed: on which sessions somebody may do it. run: does it, and answers."""

    def __init__(self, allowed: Callable[[Principal], Any], run: Callable[..., HttpResponseBase]) -> None:
        self.allowed = allowed
        self.run = run


ACTIONS = {
    "export": _Action(access.exportable_sessions, _export),
    "export_options": _Action(access.exportable_sessions, _export_options),
    "delete": _Action(access.deletable_sessions, _delete),
    "assign": _Action(access.changeable_sessions, _assign),
    "reviewed": _Action(access.reviewable_sessions, _mark_reviewed),
}


def _tell(request: HttpRequest, text: str, count: int, **names: str) -> None:
    if count:
        messages.success(request, text % {"count": count, **names})


def _names(names: list[str]) -> str:
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown}, …" if len(names) > NAMES_SHOWN else shown


def _user_id(request: HttpRequest) -> int | None:
    return request.user.pk if request.user.is_authenticated else None


def _place(request: HttpRequest) -> str:
    """The query of the page that is shown, to come back to it."""
    query = request.GET.copy()
    return query.urlencode()


def _return_query(request: HttpRequest) -> str:
    return request.POST.get("query", "")[: saved_views.MAX_RETURN_CHARACTERS]


def _back(request: HttpRequest) -> HttpResponse:
    """To the page of the list one came from. A query alone: nobody is led elsewhere."""
    query = _return_query(request)
    return redirect(f"{reverse('sessions')}?{query or 'all=1'}")
