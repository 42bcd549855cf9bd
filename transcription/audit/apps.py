from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AuditAppConfig(AppConfig):
    name = "transcription.audit"
    label = "audit"
    verbose_name = _("Audit")

    def ready(self) -> None:
        from transcription.audit import signals

        signals.connect()
