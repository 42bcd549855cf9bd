"""The command line of the embedded recogniser, shared by `python -m` and `manage.py asr_server`."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

from .errors import EngineError
from .server import DEFAULT_HOST, DEFAULT_MAX_STREAMS, DEFAULT_PORT, ServerOptions, serve

logger = logging.getLogger(__name__)

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonLines(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "timestamp": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_extra(record),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


class TextLines(logging.Formatter):
    """The same for people, in the columns of the site's own log."""

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={value}" for name, value in sorted(_extra(record).items()))
        level, event = record.levelname.lower(), record.getMessage()
        line = f"{_moment(record)} [{level:<9}] {event:<30} [{record.name}]{facts}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


FORMATTERS = {"json": JsonLines, "console": TextLines}


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _extra(record: logging.LogRecord) -> dict[str, object]:
    return {name: value for name, value in vars(record).items() if name not in _RECORD_FIELDS}


def add_arguments(parser: argparse.ArgumentParser, max_streams: int = DEFAULT_MAX_STREAMS) -> None:
    """The options of the server, with the given defaults."""
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port; 0 takes a free one")
    parser.add_argument("--max-streams", type=_positive, default=max_streams, help="streams at a time")
    parser.add_argument("--model-path", default=None, help="folder of another Moonshine model")
    parser.add_argument("--threads", type=_not_negative, default=0, help="model threads; 0 is automatic")
    parser.add_argument("--watch-pipe", type=int, default=None, metavar="FD", help="end when this pipe ends")


def options_from(arguments: argparse.Namespace) -> ServerOptions:
    """The parsed command line as ServerOptions."""
    return ServerOptions(
        host=arguments.host,
        port=arguments.port,
        max_streams=arguments.max_streams,
        model_path=arguments.model_path,
        threads=arguments.threads,
        watch_pipe=arguments.watch_pipe,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the server; returns the exit code."""
    parser = argparse.ArgumentParser(prog="asr_server", description="The embedded speech recogniser.")
    add_arguments(parser)
    parser.add_argument("--log-format", choices=FORMATTERS, default="json", help="how log lines look")
    arguments = parser.parse_args(argv)
    options = options_from(arguments)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(FORMATTERS[arguments.log_format]())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        asyncio.run(serve(options))
    except (EngineError, OSError) as error:
        logger.error("asr_server_cannot_start", extra={"reason": str(error)})
        return 1
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return value


def _not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return value
