"""A group that looks after keys, webhooks, retention and the audit log; and what the other three lacked."""

from django.contrib.auth.management import create_permissions
from django.db import migrations

# Who watches the deliveries of webhooks may send one again; where they go is the Manager's: it takes text elsewhere.
OPERATOR = (
    ("transcription", "listen_transcriptionsession"),
    ("webhooks", "view_webhookendpoint"),
    ("webhooks", "view_webhookdelivery"),
    ("webhooks", "resend_webhookdelivery"),
)
REVIEWER = (("transcription", "listen_transcriptionsession"),)
MANAGER = (
    *(
        ("transcription", codename)
        for codename in (
            "view_live", "view_transcriptionsession", "view_captions", "stop_transcriptionsession",
            "change_transcriptionsession", "export_transcriptionsession", "listen_transcriptionsession",
            "delete_transcriptionsession", "view_transcriptsegment", "change_transcriptsegment",
            "view_apikey", "add_apikey", "change_apikey", "delete_apikey", "view_usageday", "view_worker",
        )
    ),
    *(
        ("webhooks", codename)
        for codename in (
            "view_webhookendpoint", "add_webhookendpoint", "change_webhookendpoint", "delete_webhookendpoint",
            "view_webhookdelivery", "resend_webhookdelivery",
        )
    ),
    *(
        ("retention", codename)
        for codename in (
            "view_retentionrule", "add_retentionrule", "change_retentionrule", "delete_retentionrule",
            "add_protection", "delete_protection", "view_tombstone",
        )
    ),
    ("audit", "view_auditevent"),
)
GROUPS = {"Operator": OPERATOR, "Reviewer": REVIEWER, "Manager": MANAGER}
APPS = ("transcription", "webhooks", "retention", "audit")


def make_permissions(apps, alias):
    """Django makes permissions after all migrations, so on a new database there are none yet."""
    for label in APPS:
        app_config = apps.get_app_config(label)
        models_module = getattr(app_config, "models_module", None)
        # An app as a migration sees it has no module of models, and is then passed over.
        app_config.models_module = models_module or True
        create_permissions(app_config, apps=apps, verbosity=0, using=alias)
        app_config.models_module = models_module


def add_permissions(apps, schema_editor):
    """Make the groups, or add to groups of these names what they lack; nothing is taken away."""
    alias = schema_editor.connection.alias
    make_permissions(apps, alias)
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    groups = apps.get_model("auth", "Group").objects.using(alias)
    for name, wanted in GROUPS.items():
        group, _ = groups.get_or_create(name=name)
        for label, codename in wanted:
            group.permissions.add(permissions.get(content_type__app_label=label, codename=codename))


def take_permissions(apps, schema_editor):
    alias = schema_editor.connection.alias
    groups = apps.get_model("auth", "Group").objects.using(alias)
    groups.filter(name="Manager").delete()
    permissions = apps.get_model("auth", "Permission").objects.using(alias)
    for name in ("Operator", "Reviewer"):
        for group in groups.filter(name=name):
            for label, codename in GROUPS[name]:
                group.permissions.remove(*permissions.filter(content_type__app_label=label, codename=codename))


class Migration(migrations.Migration):
    dependencies = [
        ("retention", "0001_initial"),
        ("audit", "0001_initial"),
        ("webhooks", "0001_endpoints_and_deliveries"),
        ("transcription", "0013_recordings"),
    ]
    operations = [migrations.RunPython(add_permissions, take_permissions)]
