"""`manage.py export_transcripts`: write transcripts into a folder, a file each."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet

from transcription.audit.actors import acting, command
from transcription.audit.recording import MAX_LISTED, record_exports
from transcription.exports import CONTENT_TYPES, ExportOptions, file_name, write_file
from transcription.management.moments import ago
from transcription.models import TranscriptionSession
from transcription.retention.rules import ENDED

SESSIONS_READ_AT_ONCE = 100
EXIT_BAD_FOLDER = 2


class Command(BaseCommand):
    help = (
        "Write the transcripts of sessions that have ended into a folder, one file each, named by the session's id. A "
        "file that is there is replaced, whole or not at all. Says nothing when all went well, except on a terminal. "
        "Exit codes: 0 done, also where there was nothing to write; 1 wrong options; 2 the folder cannot be written."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--format", choices=sorted(CONTENT_TYPES), required=True)
        parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="made where it is not there yet")
        parser.add_argument("--since", type=ago, metavar="WHEN", help="begun 7d ago or later, or a date or moment")
        parser.add_argument("--until", type=ago, metavar="WHEN", help="begun before that")
        parser.add_argument("--language", metavar="CODE", help="such as en-US")
        parser.add_argument("--owner", metavar="USER", help="user name")
        parser.add_argument("--text", choices=("edited", "machine"), default="edited", help="%(default)s")

    def handle(self, *_args: Any, format: str, out: Path, text: str, **options: Any) -> None:
        sessions = choose(**{name: options[name] for name in ("since", "until", "language", "owner")})
        written: list[str] = []
        try:
            out.mkdir(parents=True, exist_ok=True)
            for session in _read(sessions):
                write_whole(
                    out / file_name(session, format),
                    write_file(session, format, ExportOptions.model_validate({"text": text})),
                )
                written.append(session.public_id)
        except OSError as error:
            raise CommandError(
                f"{error.filename or out} cannot be written: {error.strerror}", returncode=EXIT_BAD_FOLDER
            ) from None
        finally:
            if written:
                with acting(command("export_transcripts")):
                    record_exports(len(written), written[:MAX_LISTED], format)
        if self.stdout.isatty():
            self.stdout.write(f"{len(written)} files are in {out}.")


def choose(*, since: Any, until: Any, language: str | None, owner: str | None) -> QuerySet[TranscriptionSession]:
    """Ended sessions, the oldest first."""
    sessions = TranscriptionSession.objects.filter(state__in=ENDED)
    if since is not None:
        sessions = sessions.filter(created_at__gte=since)
    if until is not None:
        sessions = sessions.filter(created_at__lt=until)
    if language is not None:
        sessions = sessions.filter(language__iexact=language)
    if owner is not None:
        sessions = sessions.filter(owner__username=owner)
    return sessions.order_by("created_at", "pk")


def _read(sessions: QuerySet[TranscriptionSession]) -> Iterator[TranscriptionSession]:
    """Some at a time: no cursor stays open, and those that were deleted meanwhile are left out."""
    keys = list(sessions.values_list("pk", flat=True))
    for start in range(0, len(keys), SESSIONS_READ_AT_ONCE):
        piece = TranscriptionSession.objects.filter(pk__in=keys[start : start + SESSIONS_READ_AT_ONCE])
        yield from piece.select_related("owner", "api_key").order_by("created_at", "pk")


def write_whole(path: Path, pieces: Iterator[bytes]) -> None:
    """Write a file, for its owner alone, and put it in its place when it is complete. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            for piece in pieces:
                file.write(piece)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
