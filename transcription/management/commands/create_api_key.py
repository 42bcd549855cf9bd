"""Make a key for another application."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from transcription.audit.actors import acting, command
from transcription.identity.key_models import MAX_LIMIT
from transcription.identity.scopes import DEFAULT_SCOPES, Scope
from transcription.management.moments import moment_of
from transcription.models import ApiKey


class Command(BaseCommand):
    help = "Make an API key and print it. It is shown this once and kept nowhere."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what the key is for, as people will see it in lists")
        parser.add_argument("--owner", metavar="USER", help="user name; the key then reaches this user's sessions")
        parser.add_argument(
            "--scope",
            action="append",
            dest="scopes",
            type=_scope,
            metavar="SCOPE",
            help=f"what it may be used for, once for each: {', '.join(Scope)} "
            f"(without any: {', '.join(sorted(DEFAULT_SCOPES))})",
        )
        parser.add_argument(
            "--expires", type=_moment, metavar="WHEN", help="90d, 12w or 36h from now, or a date or moment to come"
        )
        parser.add_argument("--max-sessions", type=_limit, default=0, metavar="N", help="live sessions at a time")
        parser.add_argument(
            "--rate-limit", type=_limit, default=0, metavar="N", help="starts and requests a minute, each"
        )
        parser.add_argument("--monthly-minutes", type=_limit, default=0, metavar="N", help="audio in a calendar month")
        parser.add_argument("--quiet", action="store_true", help="print the key alone")

    def handle(self, *_args: Any, name: str, owner: str | None, quiet: bool, **options: Any) -> None:
        name = name.strip()
        longest = ApiKey._meta.get_field("name").max_length
        if not name or len(name) > (longest or 0):
            raise CommandError(f"The name must have 1 to {longest} characters.")
        limits = {field: options[field] for field in ("max_sessions", "rate_limit", "monthly_minutes")}
        with acting(command("create_api_key")):
            key, text = ApiKey.create(
                name,
                self._find_owner(owner),
                scopes=sorted(set(options["scopes"] or DEFAULT_SCOPES)),
                expires_at=options["expires"],
                **limits,
            )
        if quiet:
            self.stdout.write(text)
            return
        whose = f" of {key.owner}" if key.owner else ""
        until = f", good until {timezone.localtime(key.expires_at):%Y-%m-%d %H:%M %Z}" if key.expires_at else ""
        self.stdout.write(
            f"Key {key.name!r}{whose} for {', '.join(key.scopes)}{until}. "
            f"Copy it now, it is not shown again:\n\n    {text}\n"
        )

    def _find_owner(self, user_name: str | None) -> Any:
        if user_name is None:
            return None
        users = get_user_model()
        owner = users.objects.filter(**{users.USERNAME_FIELD: user_name}).first()
        if owner is None:
            raise CommandError(f"There is no user {user_name!r}.")
        return owner


def _scope(word: str) -> Scope:
    try:
        return Scope(word)
    except ValueError:
        raise ArgumentTypeError(f"{word!r} is none of {', '.join(Scope)}") from None


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > MAX_LIMIT:
        raise ArgumentTypeError(f"{text!r} is no whole number from 0 (no limit) to {MAX_LIMIT}")
    return int(text)


def _moment(text: str) -> datetime:
    """When a key shall expire: a length of time from now, a day (at its beginning), or a moment, of the site's zone."""
    now = timezone.now()
    moment = moment_of(text, from_now=1)
    if moment <= now:
        raise ArgumentTypeError(f"{text} is over already")
    return moment
