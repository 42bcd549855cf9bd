"""Keys made before there were scopes keep what they could do; what was transcribed until now is counted as usage."""

from datetime import timezone

from django.db import migrations
from django.db.models import Count, Sum
from django.db.models.functions import TruncDate

from transcription.migration_operations import without_timeouts

OLD_SCOPES = ["metrics", "sessions:read", "sessions:write", "transcribe"]


def keep_rights(apps, schema_editor):
    apps.get_model("transcription", "ApiKey").objects.update(scopes=OLD_SCOPES)


def count_usage(apps, schema_editor):
    Session = apps.get_model("transcription", "TranscriptionSession")
    UsageDay = apps.get_model("transcription", "UsageDay")
    # A session that has not ended is counted when it does.
    ended = Session.objects.filter(ended_at__isnull=False, audio_ms__gt=0)
    with without_timeouts(schema_editor.connection):
        with_keys = ended.filter(api_key__isnull=False).values("api_key_id")
        without = ended.filter(api_key=None).values("owner_id")
        for sessions in (with_keys, without):
            days = sessions.order_by().annotate(day=TruncDate("ended_at", tzinfo=timezone.utc))
            found = days.annotate(sessions=Count("pk"), audio_ms=Sum("audio_ms"))
            UsageDay.objects.bulk_create((UsageDay(**row) for row in found.iterator()), batch_size=500)


class Migration(migrations.Migration):
    dependencies = [("transcription", "0009_keys_and_usage")]
    operations = [
        migrations.RunPython(keep_rights, migrations.RunPython.noop),
        migrations.RunPython(count_usage, migrations.RunPython.noop),
    ]
