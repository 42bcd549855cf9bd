"""Running the programs of `examples/` as a person would: in processes of their own, on files of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

from speechsite.config import BASE_DIR
from transcription.tests.speech_clips import SAMPLE_RATE_HZ, Clip

EXAMPLES = BASE_DIR / "examples"
TIMEOUT_S = 45
STAND_IN = Path(__file__).with_name("websocat_stand_in.py")
# Node.js 20 has its WebSocket behind a flag, which later ones accept too.
NODE = ("node", "--experimental-websocket")


def run(
    *arguments: str | Path, key: str = "", stdin: bytes = b"", path: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """path: where programs are looked for; as here without it."""
    return subprocess.run(
        arguments,
        input=stdin,
        env={
            **os.environ,
            "PATH": path or os.environ["PATH"],
            "PYTHON": sys.executable,
            "SPEECHSITE_API_KEY": key,
        },
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def wav_of(clip: Clip, folder: Path) -> Path:
    path = folder / f"{clip.name}.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(clip.pcm)
    return path


def path_with_websocat(folder: Path) -> str:
    """A PATH with websocat; where it is not installed, with a stand-in."""
    if shutil.which("websocat"):
        return os.environ["PATH"]
    program = folder / "websocat"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{STAND_IN}" "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
