"""Three groups: who watches, who operates, who reviews."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

VIEWER = ("view_live", "view_transcriptionsession")
OPERATOR = (*VIEWER, "view_captions", "stop_transcriptionsession")
REVIEWER = (
    "view_transcriptionsession",
    "view_captions",
    "view_transcriptsegment",
    "change_transcriptsegment",
    "export_transcriptionsession",
)
GROUPS = {"Viewer": VIEWER, "Operator": OPERATOR, "Reviewer": REVIEWER}


def create_groups(apps, schema_editor):
    """Make the groups, or add to groups of these names what they lack; nothing is taken away."""
    alias = schema_editor.connection.alias
    # Django makes permissions after all migrations, so on a new database there are none yet.
    app_config = apps.get_app_config("transcription")
    models_module = getattr(app_config, "models_module", None)
    # An app as a migration sees it has no module of models, and is then passed over.
    app_config.models_module = models_module or True
    create_permissions(app_config, apps=apps, verbosity=0, using=alias)
    app_config.models_module = models_module
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    groups = apps.get_model("auth", "Group").objects.using(alias)
    for name, codenames in GROUPS.items():
        group, _ = groups.get_or_create(name=name)
        found = permissions.filter(content_type__app_label="transcription", codename__in=codenames)
        if found.count() != len(codenames):
            raise RuntimeError(f"permissions are missing for the group {name}")
        group.permissions.add(*found)


def delete_groups(apps, schema_editor):
    groups = apps.get_model("auth", "Group").objects.using(schema_editor.connection.alias)
    groups.filter(name__in=GROUPS).delete()


class Migration(migrations.Migration):
    dependencies = [
        ("transcription", "0001_initial"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]
    operations = [migrations.RunPython(create_groups, delete_groups)]
