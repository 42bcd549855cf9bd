"""Django for a benchmark: settings of its own, nothing of the developer's environment."""

from __future__ import annotations

import os
from pathlib import Path


def set_up_django(database: str, folder: Path) -> None:
    """Use SQLite in folder, or the PostgreSQL at TEST_DATABASE_URL (`scripts/with-services`), and migrate it."""
    os.environ["ENV_FILE"] = ""
    from speechsite.config import Config

    for name in Config.model_fields:
        os.environ.pop(name.upper(), None)
    os.environ |= {"DJANGO_SETTINGS_MODULE": "speechsite.settings", "DATA_DIR": str(folder), "LOG_LEVEL": "WARNING"}
    os.environ["ALLOWED_HOSTS"] = "testserver"  # the host that Django's test client asks
    os.environ["DATABASE_URL"] = os.environ["TEST_DATABASE_URL"] if database == "postgres" else "sqlite://"
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
