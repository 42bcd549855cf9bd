"""Saved views: filters of the list that somebody gave a name."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.http import QueryDict
from django.utils.translation import gettext as _

from transcription.options import clean_text
from transcription.past.filters import SessionFilterForm
from transcription.past.models import MAX_NAME_CHARACTERS, MAX_QUERY_CHARACTERS, SavedView

MAX_VIEWS = 50
# Of a query that a form carries along: its filters and its place.
MAX_RETURN_CHARACTERS = 4000


def clean_query(query: QueryDict) -> str:
    """The filters of a query string in the order of the form; places in the list and what is unknown are left out."""
    kept = QueryDict(mutable=True)
    for name in SessionFilterForm.base_fields:
        value = query.get(name, "").strip()
        if value:
            kept[name] = value
    return kept.urlencode()


def views_of(user_id: int | None) -> list[SavedView]:
    return list(SavedView.objects.filter(user=user_id)) if user_id is not None else []


def default_query(user_id: int | None) -> str:
    """The filters that the list begins with, "" for none."""
    if user_id is None:
        return ""
    return SavedView.objects.filter(user=user_id, is_default=True).values_list("query", flat=True).first() or ""


def save_view(user_id: int, name: str, query: str, *, is_default: bool = False) -> SavedView:
    """Keep filters under a name; one of that name gets the new filters. Raises ValidationError with what is wrong."""
    name = _clean_name(name)
    if len(query) > MAX_QUERY_CHARACTERS:
        raise ValidationError(_("These filters are too long to be kept."))
    with transaction.atomic():
        others = SavedView.objects.filter(user=user_id).exclude(name=name)
        if others.count() >= MAX_VIEWS:
            raise ValidationError(_("There are %(count)d views already. Delete one first.") % {"count": MAX_VIEWS})
        if is_default:
            others.filter(is_default=True).update(is_default=False)
        view, _is_new = SavedView.objects.update_or_create(
            user_id=user_id, name=name, defaults={"query": query, "is_default": is_default}
        )
    return view


def rename_view(view: SavedView, name: str) -> None:
    """Raises ValidationError for a name that is empty, too long or taken."""
    try:
        with transaction.atomic():
            SavedView.objects.filter(pk=view.pk).update(name=_clean_name(name))
    except IntegrityError:
        raise ValidationError(_("You have another view with this name.")) from None


def set_default(view: SavedView, *, is_default: bool) -> None:
    """Let the list begin with a view, or no longer."""
    with transaction.atomic():
        SavedView.objects.filter(user=view.user_id, is_default=True).exclude(pk=view.pk).update(is_default=False)
        SavedView.objects.filter(pk=view.pk).update(is_default=is_default)


def _clean_name(name: str) -> str:
    name = " ".join(clean_text(name).split())
    if not name:
        raise ValidationError(_("Give the view a name."))
    if len(name) > MAX_NAME_CHARACTERS:
        raise ValidationError(_("A name has at most %(count)d characters.") % {"count": MAX_NAME_CHARACTERS})
    return name
