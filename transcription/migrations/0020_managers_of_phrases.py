"""Managers look after phrase sets."""

from importlib import import_module

from django.db import migrations

MANAGER = ("view_phraseset", "add_phraseset", "change_phraseset", "delete_phraseset")


def add_permissions(apps, schema_editor):
    """Add to the group what it lacks; where it was deleted, it stays so."""
    alias = schema_editor.connection.alias
    import_module("transcription.retention.migrations.0002_groups").make_permissions(apps, alias)
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    for group in apps.get_model("auth", "Group").objects.using(alias).filter(name="Manager"):
        for codename in MANAGER:
            group.permissions.add(permissions.get(content_type__app_label="transcription", codename=codename))


def take_permissions(apps, schema_editor):
    alias = schema_editor.connection.alias
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    found = permissions.filter(content_type__app_label="transcription", codename__in=MANAGER)
    for group in apps.get_model("auth", "Group").objects.using(alias).filter(name="Manager"):
        group.permissions.remove(*found)


class Migration(migrations.Migration):
    dependencies = [("transcription", "0019_old_texts_of_keys"), ("retention", "0002_groups")]
    operations = [migrations.RunPython(add_permissions, take_permissions)]
