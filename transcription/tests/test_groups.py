"""The groups that migrations make."""

from __future__ import annotations

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import connection

from transcription import access
from transcription.tests.rows import make_session, make_user

pytestmark = [pytest.mark.django_db, pytest.mark.databases]

migrations = [
    import_module("transcription.migrations.0002_groups"),
    import_module("transcription.retention.migrations.0002_groups"),
    import_module("transcription.migrations.0020_managers_of_phrases"),
]

SESSIONS = {f"{verb}_transcriptionsession" for verb in ("view", "stop", "change", "export", "listen", "delete")} | {
    "view_live",
    "view_captions",
}
SEGMENTS = {"view_transcriptsegment", "change_transcriptsegment"}
PHRASES = {f"{verb}_phraseset" for verb in ("view", "add", "change", "delete")}
DELIVERIES = {"view_webhookendpoint", "view_webhookdelivery", "resend_webhookdelivery"}

EXPECTED = {
    "Viewer": {"view_live", "view_transcriptionsession"},
    "Operator": {
        "view_live",
        "view_transcriptionsession",
        "view_captions",
        "stop_transcriptionsession",
        "listen_transcriptionsession",
        *DELIVERIES,
    },
    "Reviewer": {
        "view_transcriptionsession",
        "view_captions",
        "view_transcriptsegment",
        "change_transcriptsegment",
        "export_transcriptionsession",
        "listen_transcriptionsession",
    },
    "Manager": SESSIONS
    | SEGMENTS
    | DELIVERIES
    | PHRASES
    | {f"{verb}_apikey" for verb in ("view", "add", "change", "delete")}
    | {f"{verb}_webhookendpoint" for verb in ("add", "change", "delete")}
    | {f"{verb}_retentionrule" for verb in ("view", "add", "change", "delete")}
    | {"add_protection", "delete_protection", "view_tombstone", "view_auditevent", "view_usageday", "view_worker"},
}


class Editor:
    """What a migration needs of a schema editor."""

    connection = connection


def make_groups() -> None:
    first, *others = migrations
    first.create_groups(apps, Editor)
    for each in others:
        each.add_permissions(apps, Editor)


@pytest.fixture
def _groups() -> None:
    """Tests that empty the tables may have run on this database before."""
    make_groups()


def permissions_of(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


@pytest.mark.usefixtures("_groups")
@pytest.mark.parametrize("name", EXPECTED)
def test_each_group_has_exactly_its_permissions(name: str) -> None:
    assert permissions_of(name) == EXPECTED[name]


@pytest.mark.usefixtures("_groups")
def test_making_them_again_changes_nothing() -> None:
    before = (Group.objects.count(), Permission.objects.count())
    make_groups()
    assert (Group.objects.count(), Permission.objects.count()) == before


def test_groups_are_made_on_a_database_whose_permissions_are_not_there_yet() -> None:
    Permission.objects.all().delete()
    Group.objects.all().delete()
    make_groups()
    assert {name: permissions_of(name) for name in EXPECTED} == EXPECTED


@pytest.mark.usefixtures("_groups")
def test_what_a_site_added_to_a_group_stays() -> None:
    extra = Permission.objects.get(codename="view_worker")
    Group.objects.get(name="Viewer").permissions.add(extra)
    make_groups()
    assert "view_worker" in permissions_of("Viewer")


@pytest.mark.usefixtures("_groups")
def test_taking_the_migration_back_removes_them() -> None:
    first, second, third = migrations
    third.take_permissions(apps, Editor)
    assert permissions_of("Manager") == EXPECTED["Manager"] - PHRASES
    second.take_permissions(apps, Editor)
    assert permissions_of("Operator") == EXPECTED["Operator"] - DELIVERIES - {"listen_transcriptionsession"}
    first.delete_groups(apps, Editor)
    assert not Group.objects.filter(name__in=EXPECTED).exists()


@pytest.mark.usefixtures("_groups")
def test_members_get_what_their_group_may() -> None:
    session = make_session("text", owner=make_user())
    user = make_user()
    user.groups.add(Group.objects.get(name="Operator"))
    assert access.may_read_text(user, session)
    assert access.may_stop(user, session)
    assert not access.may_export(user, session)
