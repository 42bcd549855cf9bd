"""The three groups that a migration makes."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connection

from transcription import access
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

migration = import_module("transcription.migrations.0002_groups")

EXPECTED = {
    "Viewer": {"view_live", "view_transcriptionsession"},
    "Operator": {
        "view_live",
        "view_transcriptionsession",
        "view_captions",
        "stop_transcriptionsession",
    },
    "Reviewer": {
        "view_transcriptionsession",
        "view_captions",
        "view_transcriptsegment",
        "change_transcriptsegment",
        "export_transcriptionsession",
    },
}


class Editor:
    """What a migration needs of a schema editor."""

    connection = connection


@pytest.fixture
def _groups() -> None:
    """Tests that empty the tables may have run on this database before."""
    migration.create_groups(apps, Editor)


def permissions_of(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


@pytest.mark.usefixtures("_groups")
@pytest.mark.parametrize("name", EXPECTED)
def test_each_group_has_exactly_its_permissions(name: str) -> None:
    assert permissions_of(name) == EXPECTED[name]


@pytest.mark.usefixtures("_groups")
def test_making_them_again_changes_nothing() -> None:
    before = (Group.objects.count(), Permission.objects.count())
    migration.create_groups(apps, Editor)
    assert (Group.objects.count(), Permission.objects.count()) == before


def test_groups_are_made_on_a_database_whose_permissions_are_not_there_yet() -> None:
    Permission.objects.all().delete()
    Group.objects.all().delete()
    migration.create_groups(apps, Editor)
    assert {name: permissions_of(name) for name in EXPECTED} == EXPECTED


@pytest.mark.usefixtures("_groups")
def test_what_a_site_added_to_a_group_stays() -> None:
    extra = Permission.objects.get(codename="view_worker")
    Group.objects.get(name="Viewer").permissions.add(extra)
    migration.create_groups(apps, Editor)
    assert "view_worker" in permissions_of("Viewer")


@pytest.mark.usefixtures("_groups")
def test_taking_the_migration_back_removes_them() -> None:
    migration.delete_groups(apps, Editor)
    assert not Group.objects.filter(name__in=EXPECTED).exists()


@pytest.mark.usefixtures("_groups")
def test_members_get_what_their_group_may() -> None:
    session = make_session("text", owner=make_user())
    user = make_user()
    user.groups.add(Group.objects.get(name="Operator"))
    assert access.may_read_text(user, session)
    assert access.may_stop(user, session)
    assert not access.may_export(user, session)
