"""Indexes for lists by state and language and for ids, in place of those that others begin with."""

import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models

from transcription.search import index as search_index
from transcription.migration_operations import AddIndexLive, DropFieldIndexLive, RemoveIndexLive, without_timeouts


def create_id_index(apps, schema_editor):
    with without_timeouts(schema_editor.connection):
        search_index.create_id_index(schema_editor.connection, concurrently=True)


class Migration(migrations.Migration):
    atomic = False  # PostgreSQL makes an index without a lock outside a transaction only

    dependencies = [
        ("transcription", "0004_resume"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexLive(
            model_name="transcriptionsession",
            index=models.Index(fields=["state", "-created_at", "-id"], name="session_state_newest"),
        ),
        AddIndexLive(
            model_name="transcriptionsession",
            index=models.Index(fields=["language", "-created_at", "-id"], name="session_language_newest"),
        ),
        AddIndexLive(
            model_name="transcriptionsession",
            index=models.Index(
                fields=["-created_at", "-id"],
                name="session_long_newest",
                condition=models.Q(("audio_ms__gte", 600_000)),
            ),
        ),
        AddIndexLive(
            model_name="transcriptsegment",
            index=models.Index(
                fields=["session", "index"],
                name="segment_flagged",
                condition=models.Q(("reviewed", True), ("tail", True), ("promoted", True), _connector="OR"),
            ),
        ),
        AddIndexLive(
            model_name="transcriptsegment",
            index=models.Index(
                fields=["session", "index"],
                name="segment_edited",
                condition=models.Q(("text", models.F("asr_text")), _negated=True),
            ),
        ),
        RemoveIndexLive(model_name="transcriptionsession", name="session_state_worker"),
        RemoveIndexLive(model_name="transcriptionsession", name="session_state_resume_until"),
        DropFieldIndexLive(
            model_name="transcriptionsession",
            name="api_key",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="transcription_sessions",
                to="transcription.apikey",
                verbose_name="API key",
            ),
        ),
        DropFieldIndexLive(
            model_name="transcriptionsession",
            name="owner",
            field=models.ForeignKey(
                blank=True,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.SET_NULL,
                related_name="transcription_sessions",
                to=settings.AUTH_USER_MODEL,
                verbose_name="owner",
            ),
        ),
        DropFieldIndexLive(
            model_name="transcriptsegment",
            name="session",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="segments",
                to="transcription.transcriptionsession",
                verbose_name="session",
            ),
        ),
        migrations.RunPython(create_id_index, migrations.RunPython.noop),
    ]
