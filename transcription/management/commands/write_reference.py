"""Write the tables of messages, fields and close codes in the documents anew."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from speechsite.config import BASE_DIR
from transcription.reference.tables import stale


class Command(BaseCommand):
    help = "Write the tables of messages, fields and close codes in docs/ anew, from the models."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--check", action="store_true", help="Change nothing; fail if a table is not as the models."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        found = stale(BASE_DIR / "docs")
        names = ", ".join(path.name for path in found)
        if found and options["check"]:
            raise CommandError(f"Not as the models are: {names}. Run `manage.py write_reference`.")
        for path, text in found.items():
            path.write_text(text, encoding="utf-8")
        self.stdout.write(f"Written: {names or 'nothing; all are as the models are'}")
