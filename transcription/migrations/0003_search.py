"""The full-text index of segment texts and session titles, kept right by the database itself."""

from django.db import migrations

from transcription.search import index as search_index


def create(apps, schema_editor):
    search_index.create(schema_editor.connection)


def drop(apps, schema_editor):
    search_index.drop(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [("transcription", "0002_groups")]
    operations = [migrations.RunPython(create, drop)]
