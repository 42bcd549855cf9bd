"""`manage.py transcribe FILE`: send a file through the whole line and print what comes back."""

from __future__ import annotations

import asyncio
import os
import sys
import urllib.error
import urllib.request
import uuid
from argparse import ArgumentParser
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from speechsite.config import get_config
from transcription.audio.containers import (
    BYTES_PER_MS,
    SAMPLE_RATE_HZ,
    FileAudioError,
    decode,
    probe_duration_ms,
    rechunk,
)
from transcription.client.native import CHUNK_MS, NativeClient, NotReachable, Refused

FORMATS = ("txt", "json", "srt", "vtt")
KEY_VARIABLE = "SPEECHSITE_API_KEY"
DOWNLOAD_TIMEOUT_S = 30
EXIT_BAD_FILE, EXIT_NOT_REACHABLE, EXIT_REFUSED = 2, 3, 4
INTERRUPTED = 130
MAX_TITLE_CHARACTERS = 200


class Command(BaseCommand):
    help = (
        "Send an audio file of any common kind to a running server and print its transcript. Text comes line by "
        "line as it becomes final; the other formats at the end. An API key is read from SPEECHSITE_API_KEY. "
        "Exit codes: 2 the file cannot be read, 3 no server answers, 4 the server refused."
    )
    # It talks to a server: this machine's settings and tables need not be in order.
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's attribute

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument("--language", default="en-US", help="BCP 47 code (%(default)s)")
        parser.add_argument("--format", choices=FORMATS, default="txt", help="%(default)s")
        parser.add_argument("--realtime", action="store_true", help="send no faster than the audio is spoken")
        parser.add_argument("--server", default=default_server(), help="%(default)s")

    def handle(self, *args: Any, **options: Any) -> None:
        server = options["server"].rstrip("/")
        if urlsplit(server).scheme not in ("http", "https"):
            raise CommandError(f"--server must start with http:// or https://, not {server!r}.")
        try:
            asyncio.run(self._transcribe(server, options))
        except FileAudioError as error:
            raise CommandError(str(error), returncode=EXIT_BAD_FILE) from None
        except NotReachable as error:
            raise CommandError(f"{error} Is `manage.py serve` running?", returncode=EXIT_NOT_REACHABLE) from None
        except Refused as error:
            raise CommandError(_told(error), returncode=EXIT_REFUSED) from None
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)

    async def _transcribe(self, server: str, options: dict[str, Any]) -> None:
        path, key = options["file"], os.environ.get(KEY_VARIABLE, "")
        duration_ms = probe_duration_ms(path)
        session_id = f"file-{uuid.uuid4().hex}"
        address = f"{server}{get_config().api_v1_str}"
        with Display(duration_ms, print_finals=options["format"] == "txt") as display:
            url = f"ws{address.removeprefix('http')}/transcribe/{session_id}"
            async with NativeClient(url, key=key, on_event=display.show) as client:
                await client.start(config_of(path, options["language"]))
                pace = BYTES_PER_MS * 1000 if options["realtime"] else None
                await client.stream(display.watch(chunks_of(path)), realtime_bytes_per_second=pace)
        if options["format"] != "txt":
            url = f"{address}/sessions/{session_id}/transcript?format={options['format']}"
            self.stdout.write(await asyncio.to_thread(download, url, key), ending="")


def default_server() -> str:
    config = get_config()
    return f"http://127.0.0.1:{config.port or 8000}"


def config_of(path: Path, language: str) -> dict[str, Any]:
    title = path.name.encode(errors="replace").decode()[:MAX_TITLE_CHARACTERS]
    return {"language": language, "sample_rate_hertz": SAMPLE_RATE_HZ, "title": title}


async def chunks_of(path: Path) -> AsyncIterator[bytes]:
    """The file's audio in chunks of CHUNK_MS, decoded beside the loop. Raises FileAudioError."""
    chunks = rechunk(decode(path), CHUNK_MS * BYTES_PER_MS)
    # The generator is advanced by one thread at a time, each step awaited.
    while chunk := await asyncio.to_thread(next, chunks, b""):
        yield chunk


def download(url: str, key: str) -> str:
    """A transcript from the server. Raises NotReachable or Refused."""
    request = urllib.request.Request(url)  # noqa: S310 - http or https, checked above
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    try:
        with urllib.request.urlopen(request, timeout=DOWNLOAD_TIMEOUT_S) as response:  # noqa: S310
            text: str = response.read().decode()
            return text if text.endswith("\n") else text + "\n"
    except urllib.error.HTTPError as error:
        raise Refused(f"The server answered {error.code} to {url}.") from None
    except OSError as error:
        raise NotReachable(f"The transcript could not be fetched: {error}.") from None


class Display:
    """What a person sees while it runs: finals on stdout, progress and the interim result on a terminal's stderr."""

    def __init__(self, duration_ms: int | None, *, print_finals: bool) -> None:
        self._print_finals = print_finals
        self._duration_ms = duration_ms
        self._console = Console(stderr=True)
        self._progress = Progress(
            BarColumn(),
            TextColumn("{task.fields[position]}"),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.description}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        self._task = self._progress.add_task("", total=self._duration_ms, position="0:00")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    async def watch(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        sent_ms = 0
        async for chunk in chunks:
            yield chunk
            sent_ms += len(chunk) // BYTES_PER_MS
            self._update(completed=sent_ms, position=f"{sent_ms // 60000}:{sent_ms // 1000 % 60:02}")

    def show(self, event: dict[str, Any]) -> None:
        if event["event"] == "reconnecting":
            self._console.print(Text(f"{event['message']} Connecting again ..."))
        if event["event"] != "transcript" or event.get("tail"):
            # Words that were cut off come again, whole, when the session goes on.
            return
        if not event["is_final"]:
            # What was said may contain square brackets; as Text it is not markup.
            self._update(description=Text(event["text"]).markup)
        elif event.get("durable", True):
            self._update(description="")
            self._print(event["text"])

    def _print(self, text: str) -> None:
        if self._print_finals:
            print(text, flush=True)
        elif self._console.is_terminal:
            self._console.print(Text(text))

    def _update(self, **changes: Any) -> None:
        if self._task is not None:
            self._progress.update(self._task, **changes)


def _told(error: Refused) -> str:
    hint = f" Set {KEY_VARIABLE} to an API key." if error.code == 4401 else ""
    number = f" ({error.code})" if error.code else ""
    return f"{error}{number}{hint}"
