"""The recogniser's own process: how it starts, and every way it has to end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from transcription.tests.asr_process import running_asr_process
from transcription.tests.riva_streams import open_stream, riva_stub, send_audio
from transcription.tests.speech_clips import load_clip

END_WITHIN_S = 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_on_a_signal_while_it_recognises(number: signal.Signals) -> None:
    with running_asr_process("--threads", "1") as running:
        async with riva_stub(running.address) as stub:
            await send_audio(await open_stream(stub), load_clip("jfk").pcm)
            running.process.send_signal(number)
            assert running.process.wait(END_WITHIN_S) == 0


def test_it_ends_when_its_parent_is_gone() -> None:
    with running_asr_process("--threads", "1") as running:
        os.dup2(os.open(os.devnull, os.O_WRONLY), running.life_fd)
        assert running.process.wait(END_WITHIN_S) == 0


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "transcription.asr_server", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_it_says_that_its_port_is_taken(asr_address: str) -> None:
    port = asr_address.rsplit(":", 1)[1]
    ended = start("--port", port, "--threads", "1")
    assert ended.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_its_log_is_text_for_people_where_asked(tmp_path: Path) -> None:
    ended = start("--port", "0", "--model-path", str(tmp_path), "--log-format", "console")
    assert re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z \[error    \] asr_server_cannot_start +\[\S+\] reason=", ended.stderr)


def test_it_names_what_a_model_folder_lacks(tmp_path: Path) -> None:
    ended = start("--port", "0", "--model-path", str(tmp_path))
    assert ended.returncode == 1
    assert "encoder_model.ort" in ended.stderr


def test_it_imports_no_django() -> None:
    code = "import sys, transcription.asr_server.command; sys.exit('django' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=30, check=False).returncode == 0
