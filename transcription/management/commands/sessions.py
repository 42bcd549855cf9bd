"""`manage.py sessions`: the sessions of the site in a terminal."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from datetime import datetime
from typing import IO, Any, cast

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone
from rich.console import Console
from rich.control import strip_control_codes
from rich.live import Live
from rich.table import Table
from rich.text import Text

from transcription.admin_display import format_duration
from transcription.audit.actors import acting, command
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record_once_an_hour
from transcription.live_database import DATABASE_ERRORS, read_live_rows, read_newest_rows
from transcription.live_rows import Row

REFRESH_S = 1.0
DEFAULT_LIMIT, MAX_LIMIT = 50, 2000
STATE_STYLES = {"live": "green", "detached": "yellow", "failed": "red", "interrupted": "red"}


class Command(BaseCommand):
    help = (
        "Show sessions, the newest first: with --live those that are spoken now or wait for their client. With "
        "--watch until Ctrl-C, anew each second; with --json also a list for each look, a line each. What is shown is "
        "in the database: settled text, no interim results. Ctrl-C is a good end (exit code 0)."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--live", action="store_true", help="those that are live or detached alone")
        parser.add_argument("--watch", action="store_true", help="go on until Ctrl-C")
        parser.add_argument("--json", action="store_true", dest="as_json", help="JSON instead of a table")
        parser.add_argument("--no-text", action="store_true", help="without what was said")
        parser.add_argument("--limit", type=_limit, default=DEFAULT_LIMIT, help="%(default)s")

    def handle(self, *_args: Any, live: bool, watch: bool, as_json: bool, no_text: bool, limit: int, **_: Any) -> None:
        def read() -> list[Row]:
            rows = list((read_live_rows() if live else read_newest_rows(limit)).values())[:limit]
            return [{**row, "final": ""} for row in rows] if no_text else rows

        with acting(command("sessions")):
            record_once_an_hour(AuditEvent.What.WATCHED_CONSOLE)
        console = Console(file=cast("IO[str]", self.stdout))
        try:
            if as_json:
                self._write_json(read, watch=watch)
            elif watch:
                _watch(read, console)
            else:
                console.print(build_table(read(), timezone.now()))
        except (KeyboardInterrupt, BrokenPipeError):
            # How a watch ends: by Ctrl-C, or because nobody reads it any more.
            pass

    def _write_json(self, read: Callable[[], list[Row]], *, watch: bool) -> None:
        self.stdout.write(json.dumps(read(), ensure_ascii=False, indent=None if watch else 2))
        while watch:
            self.stdout.flush()
            time.sleep(REFRESH_S)
            self.stdout.write(json.dumps(read(), ensure_ascii=False))


def _watch(read: Callable[[], list[Row]], console: Console) -> None:
    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as view:
        while True:
            try:
                view.update(build_table(read(), timezone.now()), refresh=True)
            except DATABASE_ERRORS as error:
                close_old_connections()
                view.update(Text(f"The database does not answer: {type(error).__name__}"), refresh=True)
            time.sleep(REFRESH_S)


def build_table(rows: list[Row], now: datetime) -> Table:
    """A row for each session. Control characters are left out: a terminal would obey them."""
    table = Table(title=f"{len(rows)} sessions · {timezone.localtime(now):%H:%M:%S}", title_justify="left", box=None)
    for name, options in COLUMNS:
        table.add_column(name, **options)
    for row in rows:
        started = timezone.localtime(datetime.fromisoformat(row["started_at"]))
        table.add_row(
            Text(row["session_id"]),
            Text(row["state"], style=STATE_STYLES.get(row["state"], "")),
            _plain(row["owner"]),
            _plain(row["language"]),
            Text(f"{started:%Y-%m-%d %H:%M}"),
            Text(format_duration(row["audio_ms"])),
            Text(str(row["segments"])),
            _plain(row["title"] or ""),
            _plain(row["final"] or ""),
        )
    return table


COLUMNS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("session", {"max_width": 22, "no_wrap": True}),
    ("state", {"no_wrap": True}),
    ("owner", {"max_width": 16, "no_wrap": True}),
    ("language", {"no_wrap": True}),
    ("started", {"no_wrap": True}),
    ("length", {"justify": "right", "no_wrap": True}),
    ("segments", {"justify": "right", "no_wrap": True}),
    ("title", {"max_width": 24, "no_wrap": True}),
    ("last words", {"ratio": 1, "no_wrap": True}),
)


def _plain(text: str) -> Text:
    return Text(strip_control_codes(" ".join(text.split())).replace("\x1b", ""), overflow="ellipsis")


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 to {MAX_LIMIT}")
    return int(text)
