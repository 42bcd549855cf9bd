"""Saved views: filters of the list under a name, for each user their own."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from django.http import QueryDict
from django.test import Client
from django.urls import reverse

from transcription.past import saved_views
from transcription.past.models import SavedView
from transcription.tests.rows import make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

LIST = "/console/sessions/"


@pytest.fixture
def zoe() -> User:
    return make_user("view_captions")


@pytest.fixture
def client(zoe: User) -> Client:
    client = Client()
    client.force_login(zoe)
    return client


def test_a_query_is_kept_without_places_blanks_and_what_is_unknown() -> None:
    query = QueryDict("before=2026&all=1&period=7&state=failed&q=&evil=%3Cscript%3E&q=two+words")
    assert saved_views.clean_query(query) == "q=two+words&state=failed&period=7"


def test_filters_are_saved_and_offered(client: Client, zoe: User) -> None:
    answer = client.post(reverse("saved_view_save"), {"name": " Failed  today ", "query": "period=today&state=failed"})
    assert answer["Location"] == f"{LIST}?state=failed&period=today"
    view = SavedView.objects.get()
    assert (view.user, view.name, view.is_default) == (zoe, "Failed today", False)
    assert view.query == answer["Location"].partition("?")[2]
    page = client.get(answer["Location"]).content.decode()
    assert "Failed today" in page
    assert 'aria-current="true"' in page
    assert "Save this view" not in page


def test_the_list_begins_with_the_view_that_is_shown_first(client: Client) -> None:
    client.post(reverse("saved_view_save"), {"name": "Failed", "query": "state=failed", "is_default": "on"})
    assert client.get(LIST)["Location"] == f"{LIST}?state=failed"
    assert client.get(LIST, {"all": "1"}).status_code == 200


def test_one_view_is_shown_first_at_most(zoe: User) -> None:
    first = saved_views.save_view(zoe.pk, "one", "q=a", is_default=True)
    second = saved_views.save_view(zoe.pk, "two", "q=b", is_default=True)
    assert saved_views.default_query(zoe.pk) == "q=b"
    saved_views.set_default(first, is_default=True)
    assert saved_views.default_query(zoe.pk) == "q=a"
    saved_views.set_default(first, is_default=False)
    assert saved_views.default_query(zoe.pk) == ""
    assert not SavedView.objects.filter(pk=second.pk, is_default=True).exists()


def test_a_view_is_renamed_and_deleted(client: Client, zoe: User) -> None:
    view = saved_views.save_view(zoe.pk, "old", "q=a")
    address = reverse("saved_view_change", kwargs={"number": view.pk})
    client.post(address, {"action": "rename", "name": "new"})
    assert "new" in client.get(reverse("saved_views")).content.decode()
    client.post(address, {"action": "begin"})
    assert saved_views.default_query(zoe.pk) == "q=a"
    client.post(address, {"action": "delete"})
    assert not SavedView.objects.exists()


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "taken"])
def test_a_name_that_cannot_be_is_told(client: Client, zoe: User, name: str) -> None:
    saved_views.save_view(zoe.pk, "taken", "q=a")
    view = saved_views.save_view(zoe.pk, "mine", "q=b")
    with pytest.raises(ValidationError):
        saved_views.rename_view(view, name)
    view.refresh_from_db()
    assert view.name == "mine"


def test_there_are_so_many_views_at_most(zoe: User) -> None:
    for number in range(saved_views.MAX_VIEWS):
        saved_views.save_view(zoe.pk, f"view {number}", "q=a")
    with pytest.raises(ValidationError):
        saved_views.save_view(zoe.pk, "one more", "q=a")
    saved_views.save_view(zoe.pk, "view 0", "q=b")


def test_views_of_others_do_not_exist(client: Client) -> None:
    view = saved_views.save_view(make_user().pk, "theirs", "q=a")
    address = reverse("saved_view_change", kwargs={"number": view.pk})
    assert client.post(address, {"action": "delete"}).status_code == 404
    assert "theirs" not in client.get(LIST).content.decode()


def test_without_an_account_there_are_no_views() -> None:
    assert Client().get(reverse("saved_views")).status_code == 302
