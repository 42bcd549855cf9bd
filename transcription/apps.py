from django.apps import AppConfig


class TranscriptionAppConfig(AppConfig):
    name = "transcription"
    verbose_name = "Transcription"
