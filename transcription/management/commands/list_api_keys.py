"""Which keys there are."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand
from django.db.models.functions import Now

from transcription.identity.keys import why_unusable
from transcription.models import ApiKey

COLUMNS = ("prefix", "state", "name", "owner", "scopes", "expires_at", "last_used_at", "limits")


class Command(BaseCommand):
    help = "List API keys: what they are for, whether they are good, when they were last used. Never the keys."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="a list of objects")

    def handle(self, *_args: Any, as_json: bool, **_options: Any) -> None:
        keys = [describe(key) for key in ApiKey.objects.select_related("owner").annotate(now=Now()).order_by("name")]
        if as_json:
            self.stdout.write(json.dumps(keys, indent=2, ensure_ascii=False))
            return
        table = [COLUMNS, *(tuple(_cell(key, column) for column in COLUMNS) for key in keys)]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        for row in table:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def describe(key: Any) -> dict[str, Any]:
    """A key's facts as JSON takes them. key: with `now`, the database's time."""
    problem = why_unusable(key, key.now)
    return {
        "name": key.name,
        "prefix": f"spk_{key.prefix}",
        "state": problem.reason if problem else "active",
        "owner": key.owner.get_username() if key.owner else None,
        "scopes": sorted(key.scope_set),
        "created_at": key.created_at.isoformat(timespec="seconds"),
        **{
            field: moment.isoformat(timespec="seconds") if (moment := getattr(key, field)) else None
            for field in ("expires_at", "revoked_at", "last_used_at")
        },
        **{field: getattr(key, field) for field in ("max_sessions", "rate_limit", "monthly_minutes")},
    }


def _cell(key: dict[str, Any], column: str) -> str:
    if column == "scopes":
        return ",".join(key["scopes"]) or "-"
    if column == "limits":
        limits = {"sessions": key["max_sessions"], "a minute": key["rate_limit"], "min a month": key["monthly_minutes"]}
        return ", ".join(f"{limit} {unit}" for unit, limit in limits.items() if limit) or "-"
    return str(key[column] or "-")
