"""`manage.py asr_server`: the embedded recogniser, with its defaults from the settings."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from speechsite.config import get_config
from transcription.asr_server.command import add_arguments, options_from
from transcription.asr_server.errors import EngineError
from transcription.asr_server.server import serve


class Command(BaseCommand):
    help = "Run the embedded speech recogniser, a server that speaks Riva's gRPC interface."
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        config = get_config()
        add_arguments(parser, max_streams=config.asr_max_streams)
        model_path = str(config.asr_model_path) if config.asr_model_path else None
        parser.set_defaults(model_path=model_path, threads=config.asr_threads)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            asyncio.run(serve(options_from(argparse.Namespace(**options))))
        except (EngineError, OSError) as error:
            raise CommandError(str(error)) from error
