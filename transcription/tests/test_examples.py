"""The examples, run as they are, against the whole service with the embedded recogniser."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from examples.speech_client import ConnectionLost, Event, SpeechError, transcribe
from speechsite.config import BASE_DIR
from speechsite.tests.migrated import copy_migrated
from speechsite.tests.served import Served, manage
from transcription.tests.example_programs import EXAMPLES, NODE, TIMEOUT_S, path_with_websocat, run, wav_of
from transcription.tests.speech_clips import SAMPLE_RATE_HZ, load_clip

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
    copy_migrated(data_dir)
    with Served(data_dir, **settings) as service:
        yield service


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """A WAV file in which somebody asks what natural language processing is."""
    return wav_of(load_clip("riva-en-us-sample"), tmp_path)


def socket_url(service: Served, session_id: str = "") -> str:
    return f"ws{service.url.removeprefix('http')}" + (f"/api/v1/transcribe/{session_id}" if session_id else "")


def call(service: Served, path: str, body: Event) -> Event:
    """What the HTTP API answers to a program on this machine."""
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{service.url}/api/v1{path}", data=json.dumps(body).encode(), headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        answered: Event = json.load(answer)
    return answered


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
    return port


async def chunks_of(pcm: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(pcm), CHUNK_BYTES):
        yield pcm[start : start + CHUNK_BYTES]


def test_the_shortest_client_prints_what_was_said(service: Served, question: Path) -> None:
    done = run(sys.executable, EXAMPLES / "shortest_client.py", question, socket_url(service))
    assert done.stderr == b""
    assert "natural language processing" in done.stdout.decode().lower()


@pytest.mark.parametrize(
    ("name", "lines"), [("shortest_client.py", 32), ("node_client.mjs", 40), ("shortest_page.html", 50)]
)
def test_short_programs_are_short(name: str, lines: int) -> None:
    assert len((EXAMPLES / name).read_text().splitlines()) <= lines


@pytest.mark.parametrize("program", [(sys.executable, "shortest_client.py"), (*NODE, "node_client.mjs")])
def test_short_clients_take_a_key_and_say_why_they_were_refused(
    service: Served, question: Path, program: tuple[str, ...]
) -> None:
    *command, name = program
    done = run(*command, EXAMPLES / name, question, socket_url(service), key="spk_00000000_no-key-of-ours")
    assert done.returncode == 1
    assert b"This key is not valid." in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_node_client_prints_what_was_said(service: Served, question: Path) -> None:
    done = run(*NODE, EXAMPLES / "node_client.mjs", question, socket_url(service))
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "What is natural language processing?\n"


IN_NODE = """
import {{ readFileSync }} from "node:fs";
import {{ TranscriptionSocket }} from "{module}";
const socket = new TranscriptionSocket("{url}");
socket.addEventListener("transcript", ({{ detail }}) => detail.is_final && console.log(detail.text));
socket.addEventListener("closed", ({{ detail }}) => (process.exitCode = Number(detail.code !== 1000)));
socket.open();
socket.send(readFileSync("{file}"));
socket.stop();
"""


def test_the_module_of_the_pages_runs_in_node_too(service: Served, question: Path) -> None:
    module = BASE_DIR / "static/js/transcription-socket.js"
    script = IN_NODE.format(module=module, url=socket_url(service, "from-node"), file=question)
    done = run(*NODE, "--input-type=module", "--eval", script)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "What is natural language processing?\n"


def test_the_shell_streams_with_websocat(service: Served, question: Path, tmp_path: Path) -> None:
    path = path_with_websocat(tmp_path)
    done = run("/bin/sh", EXAMPLES / "websocat.sh", question, socket_url(service), path=path)
    assert done.returncode == 0, done.stderr.decode()
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["text"] for event in events if event.get("is_final")] == ["What is natural language processing?"]
    assert events[-1]["event"] == "transcription_stopped"


@pytest.fixture(scope="module")
def key(service: Served) -> str:
    printed = manage("create_api_key", "examples", "--quiet", data_dir=service.data_dir).stdout.strip()
    assert printed
    return printed


def test_the_shell_uploads_a_recording(service: Served) -> None:
    done = run("/bin/sh", EXAMPLES / "upload.sh", load_clip("riva-en-us-sample").path, "srt", service.url)
    assert done.returncode == 0, done.stderr.decode()
    assert " --> " in done.stdout.decode()
    assert "\nWhat is natural language processing?\n" in done.stdout.decode()


def test_openais_library_uploads_a_recording(service: Served, key: str) -> None:
    done = run(sys.executable, EXAMPLES / "upload.py", load_clip("riva-en-us-sample").path, service.url, key=key)
    assert done.returncode == 0, done.stderr.decode()
    assert "What is natural language processing?" in done.stdout.decode()


def test_deepgrams_library_streams_a_recording(service: Served, question: Path, key: str) -> None:
    done = run(sys.executable, EXAMPLES / "deepgram_live.py", question, service.url, key=key)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode() == "what is natural language processing\n"


@pytest.mark.parametrize("name", ["openai_realtime.py", "nvidia_realtime.py"])
def test_libraries_for_the_realtime_dialect_stream_a_recording(
    service: Served, question: Path, key: str, name: str
) -> None:
    server = service.url if name == "openai_realtime.py" else service.url.removeprefix("http://")
    done = run(sys.executable, EXAMPLES / name, question, server, key=key)
    assert done.returncode == 0, done.stderr.decode()
    assert done.stdout.decode().rstrip() == "What is natural language processing?"


def test_another_program_follows_a_session_from_before_it_begins_to_its_end(service: Served, question: Path) -> None:
    session = call(service, "/start-transcription", {"title": "Followed"})
    command = [sys.executable, EXAMPLES / "watch_session.py", session["session_id"], socket_url(service)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watching:
        speaker = (sys.executable, EXAMPLES / "speech_client.py", "--server", socket_url(service))
        run(*speaker, "--session", session["session_id"], question, key=session["token"]).check_returncode()
        output, errors = watching.communicate(timeout=TIMEOUT_S)
    assert watching.returncode == 0, errors.decode()
    assert output.decode().endswith("  What is natural language processing?\n")
    assert errors == b"The session is completed.\n"


def test_what_cannot_be_followed_is_told(service: Served) -> None:
    done = run(sys.executable, EXAMPLES / "watch_session.py", "nobody-knows-it", socket_url(service))
    assert (done.returncode, done.stderr) == (1, b"There is no such transcription session. (4404 not_found)\n")


def test_the_receiver_takes_signed_webhooks_and_no_others(service: Served, question: Path) -> None:
    port = free_port()
    events = ["session.completed", "segment.final"]
    endpoint = call(service, "/webhooks", {"url": f"http://127.0.0.1:{port}/", "events": events})
    with subprocess.Popen(
        [sys.executable, EXAMPLES / "webhook_receiver.py", str(port)],
        env={**os.environ, "WEBHOOK_SECRET": endpoint["secret"]},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as receiver:
        try:
            assert receiver.stdout is not None
            assert receiver.stderr is not None
            assert receiver.stdout.readline() == f"Listening on http://127.0.0.1:{port}/\n"
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"{}", timeout=TIMEOUT_S)
            assert receiver.stderr.readline().startswith("Refused: ")
            run(sys.executable, EXAMPLES / "shortest_client.py", question, socket_url(service)).check_returncode()
            told = sorted(receiver.stdout.readline().split(maxsplit=2)[::2] for _ in events)
        finally:
            receiver.terminate()
    assert told == [["segment.final", "What is natural language processing?\n"], ["session.completed"]]


def test_curl_makes_a_session_and_reads_what_was_said_in_another(service: Served, question: Path) -> None:
    run(sys.executable, EXAMPLES / "shortest_client.py", question, socket_url(service)).check_returncode()
    done = run("/bin/sh", EXAMPLES / "curl.sh", question, service.url)
    assert done.returncode == 0, done.stderr.decode()
    assert b"What is natural language processing?" in done.stdout
    assert b'"websocket_url"' in done.stdout
    assert b" --> " in done.stdout


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
