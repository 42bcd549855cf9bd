"""`manage.py sessions`: the sessions of the site in a terminal."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any, cast

from django.core.management.base import BaseCommand
from django.db import close_old_connections
from django.utils import timezone
from django.utils.translation import ngettext
from rich.console import Console, JustifyMethod
from rich.control import strip_control_codes
from rich.live import Live
from rich.table import Table
from rich.text import Text

from transcription.admin.display import format_duration
from transcription.audit.actors import acting, command
from transcription.audit.models import AuditEvent
from transcription.audit.recording import record_once_an_hour
from transcription.console.live_database import DATABASE_ERRORS, read_live_rows, read_newest_rows
from transcription.console.live_rows import Row

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
                console.print(build_table(read(), timezone.now(), console.width))
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
    if not console.is_terminal:
        while True:
            console.print(build_table(read(), timezone.now(), console.width))
            time.sleep(REFRESH_S)
    with Live(console=console, screen=True, auto_refresh=False) as view:
        while True:
            try:
                view.update(build_table(read(), timezone.now(), console.width), refresh=True)
            except DATABASE_ERRORS as error:
                close_old_connections()
                view.update(Text(f"The database does not answer: {type(error).__name__}"), refresh=True)
            time.sleep(REFRESH_S)


def build_table(rows: list[Row], now: datetime, width: int) -> Table:
    """A row for each session, with as many columns as fit into a width of so many characters.

    Control characters are left out: a terminal would obey them.
    """
    title = ngettext("%(count)d session", "%(count)d sessions", len(rows)) % {"count": len(rows)}
    table = Table(title=f"{title} · {timezone.localtime(now):%H:%M:%S}", title_justify="left", box=None, expand=True)
    shown = [column for column in COLUMNS if width >= column.from_width]
    for column in shown:
        ratio = 1 if column.is_rest else None
        table.add_column(column.name, width=column.width, ratio=ratio, justify=column.justify, no_wrap=True)
    for row in rows:
        table.add_row(*(column.cell(row) for column in shown))
    return table


def _started(row: Row) -> Text:
    return Text(f"{timezone.localtime(datetime.fromisoformat(row['started_at'])):%Y-%m-%d %H:%M}")


def _state(row: Row) -> Text:
    return Text(row["state"], style=STATE_STYLES.get(row["state"], ""))


def _plain(text: str) -> Text:
    return Text(strip_control_codes(" ".join(text.split())).replace("\x1b", ""), overflow="ellipsis")


@dataclass(frozen=True, slots=True)
class Column:
    """width: None for as wide as needed. from_width: of the terminal. is_rest: takes what the others leave."""

    name: str
    cell: Callable[[Row], Text]
    width: int | None = None
    from_width: int = 0
    justify: JustifyMethod = "left"
    is_rest: bool = False


COLUMNS = (
    Column("session", lambda row: _plain(row["session_id"]), width=22),
    Column("state", _state),
    Column("owner", lambda row: _plain(row["owner"]), width=12),
    Column("language", lambda row: _plain(row["language"]), from_width=100),
    Column("started", _started, from_width=120),
    Column("length", lambda row: Text(format_duration(row["audio_ms"])), justify="right"),
    Column("segments", lambda row: Text(str(row["segments"])), from_width=100, justify="right"),
    Column("title", lambda row: _plain(row["title"] or ""), width=24, from_width=140),
    Column("last words", lambda row: _plain(row["final"] or ""), is_rest=True),
)


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise ArgumentTypeError(f"{text!r} is no whole number from 1 to {MAX_LIMIT}")
    return int(text)
