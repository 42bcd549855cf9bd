"""`manage.py fake_riva`: a recogniser with scripted faults, to try what a service or client of yours does in them."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
import wave
from pathlib import Path
from typing import Any, TextIO

from django.core.management.base import BaseCommand, CommandError

from transcription.fake_riva.audio import MAX_WORD_NUMBER, Speech
from transcription.fake_riva.record import StreamRecord
from transcription.fake_riva.script import BadScript, Script, parse_script
from transcription.fake_riva.server import ScriptedRiva

GO_AWAY_GRACE_S = 5.0
SAMPLE_RATE_HZ = 16_000


class Command(BaseCommand):
    help = (
        "Run a fake Riva: it hears only the numbered words of audio made with --write-wav, always the same, and "
        "does what --script says. SIGUSR1 makes it send GOAWAY and listen anew, SIGUSR2 freeze, or go on again."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=50052, help="0: any free one (%(default)s)")
        parser.add_argument(
            "--script",
            action="append",
            default=[],
            metavar="NAME=VALUE",
            help="what every stream does, such as hang_after_ms=5000 or abort=UNAVAILABLE; may be repeated",
        )
        parser.add_argument("--refuse-over", type=int, help="streams at a time; beyond them RESOURCE_EXHAUSTED")
        parser.add_argument("--log", type=Path, help="append every final sent to this file, a JSON object a line")
        parser.add_argument("--write-wav", type=Path, metavar="FILE", help="write audio that it hears, and end")
        parser.add_argument("--words", type=int, default=60, help="how many words the audio has (%(default)s)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            script = parse_script(options["script"])
        except BadScript as error:
            raise CommandError(f"--script: {error}.") from None
        if options["write_wav"]:
            self._write_wav(options["write_wav"], options["words"])
            return
        try:
            asyncio.run(self._serve(script, options))
        except (OSError, RuntimeError) as error:
            raise CommandError(str(error)) from None

    def _write_wav(self, path: Path, words: int) -> None:
        if not 0 < words <= MAX_WORD_NUMBER:
            raise CommandError(f"--words must be between 1 and {MAX_WORD_NUMBER}.")
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE_HZ)
            for chunk in Speech(words).chunks(SAMPLE_RATE_HZ):
                file.writeframesraw(chunk)

    async def _serve(self, script: Script, options: dict[str, Any]) -> None:
        log: TextIO | None = open(options["log"], "a", buffering=1) if options["log"] else None  # noqa: SIM115, ASYNC230

        def write(record: StreamRecord, text: str) -> None:
            if log:
                entry = {"at_s": round(time.time(), 3), "stream": record.number, "text": text}
                log.write(json.dumps(entry) + "\n")

        riva = ScriptedRiva(
            default=script,
            refuse_over=options["refuse_over"],
            host=options["host"],
            port=options["port"],
            on_final=write,
        )
        try:
            await self._run(riva)
        finally:
            if log:
                log.close()

    async def _run(self, riva: ScriptedRiva) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        renewing: set[asyncio.Task[None]] = set()
        is_frozen = False

        def go_away() -> None:
            task = loop.create_task(riva.go_away(GO_AWAY_GRACE_S))
            renewing.add(task)
            task.add_done_callback(renewing.discard)

        def freeze_or_thaw() -> None:
            nonlocal is_frozen
            is_frozen = not is_frozen
            (riva.freeze if is_frozen else riva.thaw)()

        loop.add_signal_handler(signal.SIGUSR1, go_away)
        loop.add_signal_handler(signal.SIGUSR2, freeze_or_thaw)
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        async with riva:
            self.stdout.write(f"Listening on {riva.address}")
            self.stdout.flush()
            await ended.wait()
            riva.thaw()
