"""The whole service, through its outermost doors: serve, probes, files through the line, logs."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from speechsite.config import BASE_DIR
from speechsite.tests.served import START_TIMEOUT_S, Served, environment, manage, wait_for
from transcription.audio.containers import BYTES_PER_MS, decode
from transcription.client.native import ClientError, NativeClient

# Each starts whole services, which takes seconds alone and much longer on a busy machine.
pytestmark = pytest.mark.timeout(240)

CLIP = BASE_DIR / "transcription" / "tests" / "speech" / "jfk.flac"
WORDS_OF_THE_CLIP = ("ask", "country")


@pytest.fixture(scope="module")
def served(new_data_dir: Callable[[], Path]) -> Iterator[Served]:
    with Served(new_data_dir(), LOG_FORMAT="json") as service:
        wait_for(service.is_ready, "ready")
        yield service


def transcribe(service: Served, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return manage("transcribe", *map(str, arguments), "--server", service.url, data_dir=service.data_dir)


def test_the_last_line_of_the_start_tells_how_to_end_it(served: Served) -> None:
    assert f"Listening on {served.url}/" in served.output
    assert f"{served.url}/console/" in served.output


def test_the_first_start_sets_everything_up_and_the_second_finds_it(tmp_path: Path) -> None:
    with Served(tmp_path, "--set-up", RIVA_SERVER="127.0.0.1:9", DATABASE_URL="sqlite://") as service:
        [password] = re.findall(r"password +(\S+)", service.output)
        assert service.get("/admin/login/")[0] == 200

    with Served(tmp_path, "--set-up", RIVA_SERVER="127.0.0.1:9", DATABASE_URL="sqlite://") as service:
        assert "password" not in service.output
        assert password not in service.output


def test_a_file_goes_through_the_whole_line(served: Served) -> None:
    outcome = transcribe(served, CLIP)

    assert outcome.returncode == 0, outcome.stderr
    assert outcome.stderr == ""
    assert all(word in outcome.stdout.lower() for word in WORDS_OF_THE_CLIP)


@pytest.mark.parametrize(
    ("form", "pattern"),
    [("srt", r"\A1\n00:00:0\d,\d{3} --> "), ("vtt", r"\AWEBVTT\n"), ("json", r"\A\{")],
)
def test_a_transcript_comes_in_every_format(served: Served, form: str, pattern: str) -> None:
    outcome = transcribe(served, CLIP, "--format", form)

    assert outcome.returncode == 0, outcome.stderr
    assert re.match(pattern, outcome.stdout)
    assert "country" in outcome.stdout.lower()
    if form == "json":
        assert json.loads(outcome.stdout)["segments"]


def test_a_file_that_is_no_audio_is_told_in_a_sentence(served: Served) -> None:
    outcome = transcribe(served, BASE_DIR / "manage.py")

    assert outcome.returncode == 2
    assert "is not an audio file" in outcome.stderr


def test_a_refusal_is_told_with_its_code(served: Served) -> None:
    outcome = transcribe(served, CLIP, "--language", "xx-YY")

    assert outcome.returncode == 4
    assert "(4422)" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_missing_server_is_told(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"

        outcome = manage("transcribe", str(CLIP), "--server", address, data_dir=tmp_path)

    assert outcome.returncode == 3
    assert "No server answers" in outcome.stderr


async def test_a_socket_at_an_unknown_address_is_refused_without_a_traceback(served: Served) -> None:
    with pytest.raises(InvalidStatus) as caught:
        await connect(served.url.replace("http", "ws", 1) + "/nowhere/")

    assert caught.value.response.status_code == 403
    assert "Traceback" not in served.output


def test_answers_echo_the_request_id_and_logs_have_no_query_string(served: Served) -> None:
    served.get("/api/v1/health?key=hidden-in-the-query", X_Request_ID="of-this-test")

    wait_for(lambda: "of-this-test" in served.output, "the request's line")
    assert "hidden-in-the-query" not in served.output


def test_a_forged_forwarding_header_is_not_believed(served: Served) -> None:
    served.get("/api/v1/health", X_Request_ID="forged-address", X_Forwarded_For="198.51.100.7")

    wait_for(lambda: "forged-address" in served.output, "the request's line")
    [line] = [line for line in served.output.splitlines() if "forged-address" in line]
    assert json.loads(line)["client"] == "127.0.0.1"


def test_a_trusted_proxy_is_believed(new_data_dir: Callable[[], Path]) -> None:
    with Served(
        new_data_dir(), LOG_FORMAT="json", RIVA_SERVER="127.0.0.1:9", FORWARDED_ALLOW_IPS="127.0.0.1"
    ) as service:
        service.get("/api/v1/health", X_Request_ID="behind-a-proxy", X_Forwarded_For="198.51.100.7")
        wait_for(lambda: "behind-a-proxy" in service.output, "the request's line")

        [line] = [line for line in service.output.splitlines() if "behind-a-proxy" in line]
    assert json.loads(line)["client"] == "198.51.100.7"


def test_logs_have_neither_what_was_said_nor_secrets(served: Served) -> None:
    key = manage("create_api_key", "of-the-log-test", "--quiet", data_dir=served.data_dir).stdout.strip()
    assert key.startswith("spk_")
    outcome = manage("transcribe", str(CLIP), "--server", served.url, data_dir=served.data_dir, SPEECHSITE_API_KEY=key)
    assert outcome.returncode == 0, outcome.stderr
    wait_for(lambda: served.output.count("connection closed") >= 1, "the connection's line")

    logged = served.output.lower()
    assert "country" not in logged
    assert key.lower() not in logged
    assert (served.data_dir / "secret_key").read_text().lower() not in logged


async def test_sigterm_lets_a_session_say_its_last_words(new_data_dir: Callable[[], Path]) -> None:
    heard: list[str] = []
    errors: list[object] = []

    # Its client would look for another server for as long as that.
    with Served(new_data_dir(), RESUME_WINDOW_SECONDS="1") as service:
        wait_for(service.is_ready, "ready")

        def on_event(event: dict[str, object]) -> None:
            if event["event"] == "error":
                errors.append(event["code"])
            if event["event"] == "transcript" and event["text"]:
                if not heard:
                    service.process.send_signal(signal.SIGTERM)
                heard.append("final" if event["is_final"] else "interim")

        async def speech() -> AsyncIterator[bytes]:
            for piece in decode(CLIP):
                yield piece

        url = service.url.replace("http", "ws", 1) + "/api/v1/transcribe/last-words"
        async with NativeClient(url, on_event=on_event) as client:
            await client.start({"language": "en-US"})
            with pytest.raises(ClientError):
                await client.stream(speech(), realtime_bytes_per_second=1000 * BYTES_PER_MS)
        code = service.process.wait(START_TIMEOUT_S)

    assert heard[0] == "interim"
    assert "final" in heard
    assert errors == [4503]
    assert code == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("-m", "daphne", "--port", "{port}", "speechsite.asgi:application"),
        ("manage.py", "runserver", "--noreload", "{port}"),
    ],
    ids=["daphne", "runserver"],
)
def test_daphne_serves_the_application_too(
    new_data_dir: Callable[[], Path], served: Served, arguments: tuple[str, ...]
) -> None:
    """With the recogniser of the other service."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder = new_data_dir()
    recogniser = re.search(r'"name": "recogniser".*?"detail": "([^"]+)"', served.get("/readyz")[1])
    assert recogniser is not None
    process = subprocess.Popen(
        [sys.executable, *(argument.format(port=port) for argument in arguments)],
        cwd=BASE_DIR,
        env=environment(folder, {"RIVA_SERVER": recogniser[1]}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    other = Served(folder)
    other.url = f"http://127.0.0.1:{port}"
    try:
        wait_for(other.is_ready, "daphne is ready")

        outcome = transcribe(other, CLIP)

        assert outcome.returncode == 0, outcome.stderr
        assert "country" in outcome.stdout.lower()
        assert other.get("/admin/login/")[0] == 200
    finally:
        process.terminate()
        process.wait(30)
