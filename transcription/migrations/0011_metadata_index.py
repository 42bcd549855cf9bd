"""Sessions can be looked for by the pairs of their metadata and by their dialect."""

from django.db import migrations, models

from transcription.search import metadata_index
from transcription.migration_operations import AddIndexLive, without_timeouts


def create(apps, schema_editor):
    with without_timeouts(schema_editor.connection):
        metadata_index.create(schema_editor.connection, concurrently=True)


def drop(apps, schema_editor):
    metadata_index.drop(schema_editor.connection)


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL makes an index without a lock outside a transaction only

    dependencies = [("transcription", "0010_old_keys_and_usage")]

    operations = [
        AddIndexLive(
            model_name="transcriptionsession",
            index=models.Index(fields=["dialect", "-created_at", "-id"], name="session_dialect_newest"),
        ),
        migrations.RunPython(create, drop),
    ]
