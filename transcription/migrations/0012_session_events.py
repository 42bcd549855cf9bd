"""What happened to a session is kept beside its transcript."""

import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("transcription", "0011_metadata_index"),
    ]

    operations = [
        migrations.CreateModel(
            name="SessionEvent",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("at", models.DateTimeField(default=django.utils.timezone.now, verbose_name="when")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("opened", "recogniser opened"),
                            ("reopening", "recogniser left"),
                            ("reopened", "recogniser opened again"),
                            ("paused", "no audio"),
                            ("continued", "audio again"),
                            ("lagging", "captions behind"),
                            ("warned", "warning to the client"),
                            ("expiring", "limit near"),
                            ("detached", "client away"),
                            ("resumed", "client back"),
                            ("stop_requested", "stop asked"),
                            ("cut_short", "log full"),
                        ],
                        max_length=20,
                        verbose_name="what",
                    ),
                ),
                ("audio_ms", models.PositiveBigIntegerField(blank=True, null=True, verbose_name="audio received (ms)")),
                ("detail", models.JSONField(blank=True, default=dict, verbose_name="detail")),
                (
                    "session",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="timeline",
                        to="transcription.transcriptionsession",
                        verbose_name="session",
                    ),
                ),
            ],
            options={
                "verbose_name": "session event",
                "verbose_name_plural": "session events",
                "ordering": ["at", "id"],
            },
        ),
    ]
