from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_login_failed
from django.db import connections
from django.db.backends.signals import connection_created
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class TranscriptionAppConfig(AppConfig):
    name = "transcription"
    verbose_name = _("Transcription")

    def ready(self) -> None:
        # Registers what it checks; the site itself is no application.
        import speechsite.checks  # noqa: F401
        from speechsite.lockout import count_failure
        from transcription.search.sql import add_sqlite_function

        user_login_failed.connect(count_failure, dispatch_uid="count_failure")
        connection_created.connect(add_sqlite_function, dispatch_uid="add_sqlite_function")
        post_migrate.connect(repair_search_index, sender=self, dispatch_uid="repair_search_index")


def repair_search_index(using: str, **_kwargs: Any) -> None:
    """A migration of an indexed table takes the triggers of its search index away on SQLite."""
    from transcription.search import index as search_index
    from transcription.search import metadata_index

    search_index.repair(connections[using])
    metadata_index.repair(connections[using])
