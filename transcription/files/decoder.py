"""The program that decodes one file: `python -m transcription.files.decoder LIMITS`, the file as its input.

Decoders are large programs in C that read what strangers send. Here a crash or a decompression bomb ends this process
and no session; it may take so much memory and processor time and no more, and it can be ended at any moment.

On its output: messages of one byte for the kind, four for the length (big-endian), and the content. First `i` (JSON:
what the file is), then `p` (PCM), at the end `.` or `e` (JSON: what is wrong with the file). It imports no Django.
"""

from __future__ import annotations

import json
import os
import resource
import struct
import sys
from dataclasses import asdict
from typing import Any, BinaryIO

from transcription.audio.containers import BYTES_PER_MS, FileAudioError, FileLimits, decode, probe, rechunk

INFO, PCM, END, ERROR = b"i", b"p", b".", b"e"
HEAD = struct.Struct(">cI")
CHUNK_MS = 500
MAX_MESSAGE_BYTES = 64 * 1024
# Live sessions of the same machine come first.
NICENESS = 5


def main() -> None:
    limits: dict[str, Any] = json.loads(sys.argv[1])
    _bound(limits["max_memory_bytes"], limits["max_cpu_s"])
    # What a library prints must not come between the messages.
    output = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    with os.fdopen(0, "rb") as source, output:
        try:
            run(source, output, FileLimits(limits["max_audio_ms"], limits["max_streams"]), limits["skip_bytes"])
        except BrokenPipeError:
            # Nobody wants it any more.
            os._exit(0)


def run(source: BinaryIO, output: BinaryIO, limits: FileLimits, skip_bytes: int) -> None:
    """Decode, leaving out the first skip_bytes of the PCM."""
    try:
        write(output, INFO, json.dumps(asdict(probe(source, limits))).encode())
        output.flush()
        source.seek(0)
        for chunk in rechunk(decode(source, limits), CHUNK_MS * BYTES_PER_MS):
            if skip_bytes >= len(chunk):
                skip_bytes -= len(chunk)
                continue
            write(output, PCM, chunk[skip_bytes:])
            skip_bytes = 0
        write(output, END, b"")
    except FileAudioError as error:
        write(output, ERROR, json.dumps({"problem": error.problem, "message": str(error)}).encode())
    output.flush()


def write(output: BinaryIO, kind: bytes, content: bytes) -> None:
    output.write(HEAD.pack(kind, len(content)) + content)


def _bound(max_memory_bytes: int, max_cpu_s: int) -> None:
    os.nice(NICENESS)
    for what, bound in (
        (resource.RLIMIT_AS, max_memory_bytes),
        (resource.RLIMIT_CPU, max_cpu_s),
        (resource.RLIMIT_CORE, 0),
        # It writes into its pipe alone.
        (resource.RLIMIT_FSIZE, 0),
    ):
        try:
            resource.setrlimit(what, (bound, bound))
        except (ValueError, OSError):
            # macOS refuses some of them; the others still hold.
            continue


if __name__ == "__main__":
    main()
