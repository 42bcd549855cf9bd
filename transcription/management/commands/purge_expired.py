"""`manage.py purge_expired`: delete what is over, or say what that would be."""

from __future__ import annotations

import json
import time
from argparse import ArgumentParser
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from speechsite.config import get_config
from transcription.audit.actors import acting, command
from transcription.management.moments import length_of_time
from transcription.retention.models import RetentionRule, Tombstone
from transcription.retention.purging import Taken, finish_cut_short, foresee, forget_events, purge
from transcription.retention.rules import standing_rules
from transcription.retention.scrubbing import scrub

DAY = timedelta(days=1)
# The search index is written anew where something was deleted; a very large one goes on with the jobs.
SCRUB_S = 600.0
EXIT_LEFT = 3


class Command(BaseCommand):
    help = (
        "Delete what the retention rules and RETAIN_SESSIONS_DAYS take, or with --older-than all sessions of that age "
        "instead. Protected sessions stay. Says nothing when all went well, except on a terminal, with --dry-run and "
        "with --json. Exit codes: 0 done, 1 it could not be done, 3 something could not be deleted yet."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            type=length_of_time,
            metavar="TIME",
            help="instead of the rules: sessions that ended so long ago (30d, 12w; whole days)",
        )
        parser.add_argument("--audio", action="store_true", help="with --older-than: their audio alone")
        parser.add_argument("--dry-run", action="store_true", help="say what would go, and delete nothing")
        parser.add_argument("--json", action="store_true", dest="as_json", help="a list of objects, one for each rule")

    def handle(self, *_args: Any, dry_run: bool, as_json: bool, **options: Any) -> None:
        rules = self._rules(options["older_than"], audio=options["audio"])
        if dry_run:
            self._tell(foresee(rules), as_json=as_json, verb="would go")
            return
        config = get_config()
        with acting(command("purge_expired")):
            finish_cut_short()
            taken, _is_all = purge(rules, config)
            while not forget_events(config.audit_log_days):
                pass
        scrub(time.monotonic() + SCRUB_S)
        if as_json or self.stdout.isatty():
            self._tell(taken, as_json=as_json, verb="deleted")
        left = Tombstone.objects.filter(finished_at=None).count()
        if left:
            raise CommandError(
                f"Of {left} deleted sessions something is left, such as audio in its storage. It is tried again.",
                returncode=EXIT_LEFT,
            )

    def _rules(self, older_than: timedelta | None, *, audio: bool) -> list[RetentionRule]:
        if older_than is None:
            if audio:
                raise CommandError("--audio goes with --older-than; rules say themselves what they take.")
            return standing_rules(get_config())
        if older_than % DAY:
            raise CommandError("--older-than takes whole days.")
        takes = RetentionRule.Takes.AUDIO if audio else RetentionRule.Takes.SESSION
        return [RetentionRule(name="--older-than", after_days=older_than.days, takes=takes)]

    def _tell(self, taken: list[Taken], *, as_json: bool, verb: str) -> None:
        if as_json:
            self.stdout.write(json.dumps([asdict(one) for one in taken], indent=2))
            return
        if not taken:
            self.stdout.write("There are no rules.")
        for one in taken:
            what = "audio of sessions" if one.audio_only else "sessions"
            segments = "" if one.audio_only else f", {one.segments} segments"
            if one.reruns:
                what += f" ({one.reruns} of them reruns of others)"
            self.stdout.write(f"{one.rule}: {one.sessions} {what} {verb}{segments}, {one.audio_ms // 1000} s of audio")
