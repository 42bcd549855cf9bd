"""The examples, run as they are, against the whole service with the embedded recogniser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from examples.speech_client import ConnectionLost, Event, SpeechError, transcribe
from speechsite.config import BASE_DIR
from speechsite.tests.served import Served, manage
from transcription.tests.speech_clips import SAMPLE_RATE_HZ, Clip, load_clip

EXAMPLES = BASE_DIR / "examples"
TIMEOUT_S = 45
CHUNK_BYTES = 3200

# The first test of a run also waits for the recogniser and the service to start.
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, asr_address: str) -> Iterator[Served]:
    """A service in the development profile, which lets this machine in without a key."""
    with served(tmp_path_factory.mktemp("service"), RIVA_SERVER=asr_address) as service:
        yield service


@contextlib.contextmanager
def served(data_dir: Path, **settings: str) -> Iterator[Served]:
    manage("migrate", data_dir=data_dir, **settings).check_returncode()
    with Served(data_dir, **settings) as service:
        yield service


def run(*arguments: str | Path, key: str = "", stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        arguments,
        input=stdin,
        env={**os.environ, "PYTHON": sys.executable, "SPEECHSITE_API_KEY": key},
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


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """A WAV file in which somebody asks what natural language processing is."""
    return wav_of(load_clip("riva-en-us-sample"), tmp_path)


def socket_url(service: Served, session_id: str = "") -> str:
    return f"ws{service.url.removeprefix('http')}" + (f"/api/v1/transcribe/{session_id}" if session_id else "")


async def chunks_of(pcm: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(pcm), CHUNK_BYTES):
        yield pcm[start : start + CHUNK_BYTES]


def test_the_shortest_client_prints_what_was_said(service: Served, question: Path) -> None:
    done = run(sys.executable, EXAMPLES / "shortest_client.py", question, socket_url(service))
    assert done.stderr == b""
    assert "natural language processing" in done.stdout.decode().lower()


def test_the_shortest_client_is_short() -> None:
    assert len((EXAMPLES / "shortest_client.py").read_text().splitlines()) <= 25


def test_the_speech_client_prints_the_finals_of_a_file(service: Served, question: Path) -> None:
    done = run(sys.executable, EXAMPLES / "speech_client.py", "--server", socket_url(service), question)
    assert done.returncode == 0
    assert "natural language processing" in done.stdout.decode().lower()
    assert b"1 segments of 4.2 s." in done.stderr


def test_the_speech_client_reads_samples_from_standard_input(service: Served) -> None:
    pcm = load_clip("riva-en-us-sample").pcm
    done = run(sys.executable, EXAMPLES / "speech_client.py", "--server", socket_url(service), "-", stdin=pcm)
    assert "natural language processing" in done.stdout.decode().lower()


def test_the_speech_client_prints_the_last_words_after_ctrl_c(service: Served) -> None:
    command = [sys.executable, str(EXAMPLES / "speech_client.py"), "--server", socket_url(service), "-"]
    # The rest of a recording that never ends by itself: its pipe stays open.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(load_clip("jfk").pcm[: 5 * SAMPLE_RATE_HZ * 2])
        process.stdin.flush()
        first = process.stdout.readline().decode()
        process.send_signal(signal.SIGINT)
        rest, _errors = process.communicate(timeout=TIMEOUT_S)
    assert "fellow americans" in first.lower()
    assert rest.strip()
    assert process.returncode == 0


def test_the_speech_client_says_why_it_was_refused(service: Served, question: Path) -> None:
    client = (sys.executable, EXAMPLES / "speech_client.py", "--server", socket_url(service))
    done = run(*client, "--language", "de-DE", question)
    assert done.returncode == 1
    assert b"(4422 unknown_language)" in done.stderr


def test_the_speech_client_says_that_nobody_answers(question: Path) -> None:
    done = run(sys.executable, EXAMPLES / "speech_client.py", "--server", "ws://127.0.0.1:9", question)
    assert done.returncode == 1
    assert b"Traceback" not in done.stderr
    assert done.stderr


async def test_the_speech_client_tells_interims_and_stored_finals_apart(service: Served) -> None:
    seen: list[Event] = []
    stopped = await transcribe(
        socket_url(service, "interims-and-finals"), chunks_of(load_clip("jfk").pcm), {}, on_transcript=seen.append
    )
    finals = [event for event in seen if event["is_final"]]
    assert [event["segment"] for event in finals] == list(range(stopped["segments"]))
    assert "what you can do for your country" in finals[-1]["text"].lower()
    assert stopped["reason"] == "client"


async def test_the_speech_client_stays_within_its_credit(service: Served) -> None:
    """Two minutes at once: more than may be sent before the recogniser has answered."""
    pcm = bytes(120 * SAMPLE_RATE_HZ * 2)
    events: list[Event] = []
    stopped = await transcribe(
        socket_url(service, "long-file"),
        chunks_of(pcm),
        {},
        on_transcript=events.append,
        on_event=events.append,
    )
    assert stopped["received"] == len(pcm)
    assert "too_fast" not in [event.get("code") for event in events]


async def test_the_speech_client_raises_the_services_error(service: Served) -> None:
    with pytest.raises(SpeechError) as caught:
        await transcribe(
            socket_url(service, "bad-rate"),
            chunks_of(b""),
            {"sample_rate_hertz": 96_000},
            on_transcript=lambda event: None,
        )
    assert (caught.value.code, caught.value.field) == (4422, "config.sample_rate_hertz")


async def test_the_speech_client_raises_what_its_source_of_audio_raises(service: Served) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield bytes(CHUNK_BYTES)
        raise OSError("the microphone was unplugged")

    with pytest.raises(OSError, match="unplugged"):
        await transcribe(socket_url(service, "broken-source"), broken(), {}, on_transcript=lambda event: None)


async def test_the_speech_client_says_that_the_connection_was_lost() -> None:
    async def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectionLost):
            await transcribe(f"ws://127.0.0.1:{port}/", chunks_of(b""), {}, on_transcript=lambda event: None)


def test_the_shell_example_makes_reads_and_deletes_a_session(service: Served, question: Path) -> None:
    done = run("/bin/sh", EXAMPLES / "rest.sh", question, service.url)
    output = done.stdout.decode()
    assert done.returncode == 0, done.stderr.decode()
    assert '"status": "healthy"' in output
    assert '"state": "completed"' in output
    assert " --> " in output
    assert service.get("/api/v1/sessions?q=shell")[1].startswith('{"sessions": []')
