"""Take a key back."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from transcription.audit.actors import acting, command
from transcription.identity.key_models import KEY_START
from transcription.models import ApiKey
from transcription.services import revoke_key


class Command(BaseCommand):
    help = "Revoke an API key: it works no more, and within a minute the sessions that were opened with it end."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("key", help="its prefix (spk_1a2b3c4d) or its name, if one key alone has it")

    def handle(self, *_args: Any, key: str, **_options: Any) -> None:
        # Somebody may paste the whole key. Its secret part is neither needed nor printed.
        start, _bar, rest = key.partition("_")
        prefix = rest.partition("_")[0] if start == KEY_START else key
        by_prefix = list(ApiKey.objects.filter(prefix=prefix)[:1])
        found = by_prefix or list(ApiKey.objects.filter(name=key))
        if not found:
            shown = f"{KEY_START}_{prefix}" if start == KEY_START else key
            raise CommandError(f"There is no key {shown!r}.")
        good = [one for one in found if one.revoked_at is None]
        if len(good) > 1:
            prefixes = ", ".join(f"{KEY_START}_{one.prefix}" for one in good)
            raise CommandError(f"{len(good)} keys have this name. Name one of them by its prefix: {prefixes}.")
        if not good:
            self.stdout.write(f"{found[0]} was revoked before.")
            return
        with acting(command("revoke_api_key")):
            revoke_key(good[0])
        self.stdout.write(f"{good[0]} is revoked.")
