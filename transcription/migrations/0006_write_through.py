"""No commit shall pay for those before it: the search index of PostgreSQL takes each by itself."""

from django.db import migrations

from transcription.search import index as search_index
from transcription.migration_operations import without_timeouts


def write_through(apps, schema_editor):
    with without_timeouts(schema_editor.connection):
        search_index.write_through(schema_editor.connection)


class Migration(migrations.Migration):
    atomic = False  # the lock of each index is held as shortly as possible
    dependencies = [("transcription", "0005_indexes")]
    operations = [migrations.RunPython(write_through, migrations.RunPython.noop)]
