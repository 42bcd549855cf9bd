"""The first account of a new installation."""

from __future__ import annotations

import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import IntegrityError, transaction

from transcription.audit.actors import acting, command

OPERATOR_NAME = "operator"
PASSWORD_BYTES = 12


class Command(BaseCommand):
    help = (
        f"Make the superuser {OPERATOR_NAME!r} with a random password, printed this once, unless there is a "
        "superuser already. Prints nothing otherwise."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        users = get_user_model()
        if users.objects.filter(is_superuser=True).exists():
            return
        name = _free_name()
        password = secrets.token_urlsafe(PASSWORD_BYTES)
        try:
            with acting(command("ensure_operator")), transaction.atomic():
                users.objects.create_superuser(name, password=password)
        except IntegrityError:
            # Two first starts at once: the other one made the account and printed its password.
            return
        self.stdout.write(f"Operator account, shown this once:\n\n    user      {name}\n    password  {password}\n")


def _free_name() -> str:
    """`operator`, or with a number where an ordinary user has that name: an account is never taken over."""
    users = get_user_model()
    taken = set(users.objects.filter(username__startswith=OPERATOR_NAME).values_list("username", flat=True))
    candidates = [OPERATOR_NAME, *(f"{OPERATOR_NAME}{number}" for number in range(2, len(taken) + 3))]
    return next(name for name in candidates if name not in taken)
