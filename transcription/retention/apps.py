from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RetentionAppConfig(AppConfig):
    name = "transcription.retention"
    label = "retention"
    verbose_name = _("Retention")
