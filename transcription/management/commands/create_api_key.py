"""Make a key for another application."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from transcription.models import ApiKey


class Command(BaseCommand):
    help = "Make an API key and print it. It is shown this once and kept nowhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the key is for, as people will see it in lists")
        parser.add_argument("--owner", metavar="USER", help="user name; the key then reaches this user's sessions")
        parser.add_argument("--quiet", action="store_true", help="print the key alone")

    def handle(self, *_args: Any, name: str, owner: str | None, quiet: bool, **_options: Any) -> None:
        name = name.strip()
        longest = ApiKey._meta.get_field("name").max_length
        if not name or len(name) > (longest or 0):
            raise CommandError(f"The name must have 1 to {longest} characters.")
        key, text = ApiKey.create(name, self._find_owner(owner))
        if quiet:
            self.stdout.write(text)
            return
        whose = f" of {key.owner}" if key.owner else ""
        self.stdout.write(f"Key {key.name!r}{whose}. Copy it now, it is not shown again:\n\n    {text}\n")

    def _find_owner(self, user_name: str | None) -> Any:
        if user_name is None:
            return None
        users = get_user_model()
        owner = users.objects.filter(**{users.USERNAME_FIELD: user_name}).first()
        if owner is None:
            raise CommandError(f"There is no user {user_name!r}.")
        return owner
