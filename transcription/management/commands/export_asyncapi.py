"""Write the AsyncAPI document of the WebSockets."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from speechsite.config import get_config
from transcription.asyncapi.document import build_document


class Command(BaseCommand):
    help = "Write the AsyncAPI document of the WebSockets, to generate clients from."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", type=Path, help="The file; otherwise it is printed.")
        parser.add_argument("--host", default="speech.example.org", help="Where the service is: HOST or HOST:PORT.")
        parser.add_argument("--insecure", action="store_true", help="ws:// instead of wss://")
        parser.add_argument("--indent", type=int, default=2)

    def handle(self, *args: Any, **options: Any) -> None:
        config = get_config()
        document = build_document(
            title=config.project_name,
            version=config.version,
            host=options["host"],
            scheme="ws" if options["insecure"] else "wss",
            api=config.api_v1_str,
        )
        text = json.dumps(document, indent=options["indent"], ensure_ascii=False) + "\n"
        if options["output"] is None:
            self.stdout.write(text, ending="")
        else:
            options["output"].write_text(text, encoding="utf-8")
