from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class WebhooksAppConfig(AppConfig):
    name = "transcription.webhooks"
    label = "webhooks"
    verbose_name = _("Webhooks")

    def ready(self) -> None:
        from django.db.models.signals import post_delete

        from transcription.audit.signals import deleted

        # Whichever way it goes: with its owner or key too.
        post_delete.connect(deleted, sender="webhooks.WebhookEndpoint", dispatch_uid="audit_deleted_endpoint")
