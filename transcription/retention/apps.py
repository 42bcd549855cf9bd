from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RetentionAppConfig(AppConfig):
    name = "transcription.retention"
    label = "retention"
    verbose_name = _("Retention")

    def ready(self) -> None:
        from django.db.models.signals import post_delete

        from transcription.audit.signals import deleted

        # Whichever way it goes: a rule of a key goes with that.
        post_delete.connect(deleted, sender="retention.RetentionRule", dispatch_uid="audit_deleted_rule")
