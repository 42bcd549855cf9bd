"""The question before an action, on one page for all of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.contrib.admin import ModelAdmin, helpers
from django.db.models import Model
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString


def is_confirmed(request: HttpRequest) -> bool:
    return "confirmed" in request.POST


def ask(
    model_admin: ModelAdmin[Any],
    request: HttpRequest,
    action: str,
    chosen: Sequence[Model],
    *,
    title: str,
    explanation: str,
    lines: Iterable[object] = (),
    form: Form | None = None,
    is_harmful: bool = True,
    is_possible: bool = True,
) -> HttpResponse:
    """A page that says what will happen to what, and sends the same action again once somebody agrees.

    action: the name of the action's method. lines: what it happens to; the names of chosen if there are none.
    form: what else is asked; bound where it came with mistakes. is_possible: False where the lines say why it is not.
    """
    context = {
        **model_admin.admin_site.each_context(request),
        "title": title,
        "explanation": explanation,
        "lines": list(lines) or [line(str(one)) for one in chosen],
        "chosen": chosen,
        "form": form,
        "is_harmful": is_harmful,
        "is_possible": is_possible,
        "opts": model_admin.opts,
        "action": action,
        "action_checkbox_name": helpers.ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/confirm.html", context)


def line(name: str, *facts: object) -> SafeString:
    """What an action happens to: a name of any script, and facts about it."""
    rest = format_html_join("", " · {}", ((fact,) for fact in facts if fact not in (None, "")))
    return format_html("<bdi>{}</bdi>{}", name, rest)
