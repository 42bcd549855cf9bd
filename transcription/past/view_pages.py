"""Pages of saved views: keep the filters of the list, rename, delete, begin with one."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from transcription.errors import NotAuthenticated
from transcription.identity.principals import Principal
from transcription.pages.views import page
from transcription.past import saved_views
from transcription.past.models import SavedView


@require_GET
@page
def views(request: HttpRequest, principal: Principal) -> HttpResponse:
    """All views of the user, to be renamed and deleted."""
    return render(request, "console/saved_views.html", {"views": saved_views.views_of(_owner(request))})


@require_POST
@page
def view_save(request: HttpRequest, principal: Principal) -> HttpResponseBase:
    query = saved_views.clean_query(QueryDict(request.POST.get("query", "")[: saved_views.MAX_RETURN_CHARACTERS]))
    try:
        view = saved_views.save_view(
            _owner(request), request.POST.get("name", ""), query, is_default="is_default" in request.POST
        )
        messages.success(request, _("The view “%(name)s” is saved.") % {"name": view.name})
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    return redirect(f"{reverse('sessions')}?{query or 'all=1'}")


@require_POST
@page
def view_change(request: HttpRequest, principal: Principal, number: int) -> HttpResponseBase:
    """What the button that was pressed says: rename, delete, begin with it or no longer."""
    view = get_object_or_404(SavedView, pk=number, user=_owner(request))
    match request.POST.get("action"):
        case "rename":
            try:
                saved_views.rename_view(view, request.POST.get("name", ""))
            except ValidationError as error:
                messages.error(request, " ".join(error.messages))
        case "delete":
            view.delete()
            messages.success(request, _("The view “%(name)s” is deleted.") % {"name": view.name})
        case "begin" | "no_longer" as wish:
            saved_views.set_default(view, is_default=wish == "begin")
        case _other:
            raise Http404(_("There is no such action."))
    return redirect("saved_views")


def _owner(request: HttpRequest) -> int:
    """Views belong to accounts."""
    if not request.user.is_authenticated or request.user.pk is None:
        raise NotAuthenticated(_("Log in to keep views."))
    return request.user.pk
