"""Requests with an Idempotency-Key, and what was answered."""

import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ("transcription", "0007_file_jobs"),
    ]

    operations = [
        migrations.CreateModel(
            name="IdempotentRequest",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("principal", models.CharField(max_length=120, verbose_name="principal")),
                ("key", models.CharField(max_length=200, verbose_name="key")),
                ("fingerprint", models.CharField(max_length=64)),
                ("holder", models.UUIDField(default=uuid.uuid4)),
                ("status", models.PositiveSmallIntegerField(null=True, verbose_name="status")),
                ("answer", models.TextField(blank=True, verbose_name="answer")),
                ("started_at", models.DateTimeField(db_index=True, verbose_name="started")),
            ],
            options={
                "verbose_name": "idempotent request",
                "verbose_name_plural": "idempotent requests",
                "constraints": [models.UniqueConstraint(fields=("principal", "key"), name="idempotency_key_once_per_principal")],
            },
        ),
    ]
