"""Row 73 of the matrix: path tricks in ids, file names and languages, over every address and every socket.

The server's folder lies alone in a folder of the test: what is written beside it would be seen.
"""

from __future__ import annotations

import http.client
import io
import json
import re
import shutil
import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from speechsite.config import BASE_DIR
from transcription.exports import write_zip
from transcription.rest.api import api
from transcription.tests.fuzz.sockets import socket_routes
from transcription.tests.rows import make_session
from transcription.tests.servers import EVENT_TIMEOUT_S, Server, running_server

pytestmark = pytest.mark.timeout(180)

# A name that would be found wherever it was written.
MARK = "pwned-73"
# As they stand in an address: some survive there, some are encoded.
IN_ADDRESSES = [
    "..", "%2e%2e", "..%2f..%2f" + MARK, "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "..%5c..%5c" + MARK, "%2fetc%2fpasswd",
    "..;/" + MARK, "....//....//" + MARK, "C:%5c" + MARK, "%00", MARK + "%00.json", "%c0%ae%c0%ae%c0%af" + MARK,
    "~root", ".env", "file:%2f%2f%2fetc%2fpasswd", MARK + "%0d%0aSet-Cookie:%20a=b", "%ff", "a%20b", "x" * 65,
]  # fmt: skip
AS_TEXT = [
    "..", "../", "../../../../etc/passwd", "..\\..\\" + MARK, "/etc/passwd", "/tmp/" + MARK, "C:\\" + MARK,  # noqa: S108
    MARK + "\0.wav", "....//" + MARK, "~/" + MARK, ".", "file:///etc/passwd", "%2e%2e%2f" + MARK, "${HOME}/" + MARK,
]  # fmt: skip
REFUSED = {400, 404, 405, 422}
CLOSED = {4400, 4404, 4422, 1008}
SECRETS = (b"root:x:", b"SECRET_KEY", b"SQLite format")


@pytest.fixture(scope="module")
def server(new_data_dir: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("alone") / "data"
    shutil.copytree(new_data_dir(), folder)
    before = {*BASE_DIR.iterdir()}
    with running_server(folder) as running:
        yield running
    assert [path.name for path in folder.parent.iterdir()] == ["data"]
    assert {path for path in BASE_DIR.iterdir() if path not in before and not path.name.startswith(".")} == set()
    roots = [Path("/"), Path("/etc"), Path("/tmp"), Path.home(), BASE_DIR]  # noqa: S108
    assert [path for root in roots for path in root.glob(f"*{MARK}*")] == []
    # Whatever is kept of an upload has a name of the service's own.
    assert list(folder.rglob(f"*{MARK}*")) == []


def ask(server: Server, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    """Status and body of a request whose address is sent as it is."""
    connection = http.client.HTTPConnection(urlsplit(server.served.url).netloc, timeout=EVENT_TIMEOUT_S)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def addresses() -> list[tuple[str, str]]:
    """Every operation with an id in its address, and the pages that have one."""
    found = [
        (method.upper(), path)
        for path, methods in api.get_openapi_schema()["paths"].items()
        for method in methods
        if "{" in path
    ]
    pages = ["/console/sessions/{id}/", "/console/sessions/{id}/export.json", "/static/{id}", "/media/{id}"]
    return [*found, *(("GET", page) for page in pages)]


@pytest.mark.parametrize(("method", "path"), addresses())
def test_row_73_path_tricks_in_addresses_find_nothing(server: Server, method: str, path: str) -> None:
    for trick in IN_ADDRESSES:
        status, body = ask(server, method, re.sub(r"\{\w+\}", trick, path), Content_Type="application/json")
        assert status in REFUSED, (trick, status)
        assert not any(secret in body for secret in SECRETS), trick


def test_row_73_path_tricks_in_options_are_refused_or_mere_text(server: Server) -> None:
    for trick in AS_TEXT:
        for field, may_be_text in (("session_id", False), ("language", False), ("model", True), ("title", True)):
            body = json.dumps({field: trick}).encode()
            status, _answer = ask(server, "POST", "/api/v1/start-transcription", body, Content_Type="application/json")
            assert status == 422 or (may_be_text and status == 200 and "\0" not in trick), (field, trick, status)
        query = "".join(f"%{byte:02x}" for byte in trick.encode())
        for name in ("language", "format", "state", "cursor"):
            for path in ("sessions", "export"):
                status, answer = ask(server, "GET", f"/api/v1/{path}?{name}={query}")
                # What an operation has no parameter for is not looked at.
                assert status == 422 or (status == 200 and b"root:x:" not in answer), (path, name, trick)


@pytest.mark.parametrize("route", socket_routes())
async def test_row_73_path_tricks_in_the_addresses_of_sockets_open_nothing(server: Server, route: str) -> None:
    for trick in IN_ADDRESSES:
        url = server.socket_url(route.replace("{id}", trick)) + f"?language={trick}&model={trick}"
        assert await close_of(url, '{"type": "start_transcription", "config": {}}') in CLOSED | {
            # Refused in the handshake, or not let in at all.
            400, 401, 403, 404, 4401, 4403,
            # What the address does not name does no harm; these end by themselves.
            *((1000,) if "{id}" not in route else ()),
        }, trick  # fmt: skip


async def close_of(url: str, message: str) -> int:
    """The close code, or the HTTP status of a refused handshake; 1000 where nobody minded."""
    try:
        async with connect(url, compression=None, open_timeout=EVENT_TIMEOUT_S) as socket:
            await socket.send(message)
            while True:
                answer = json.loads(await socket.recv())
                if answer.get("event") == "transcription_started":
                    return 0
                if str(answer.get("type", "")).endswith(".created"):
                    return 1000
    except InvalidStatus as error:
        return error.response.status_code
    except ConnectionClosed as error:
        return error.rcvd.code if error.rcvd else 1006


async def test_row_73_path_tricks_in_the_options_of_a_session_are_refused(server: Server) -> None:
    for number, trick in enumerate(AS_TEXT):
        async with server.client(f"tricks-{number}") as client:
            await client.send({"type": "start_transcription", "config": {"language": trick}})
            assert await client.closed() in (4400, 4422), trick


def wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(16000)
        writer.writeframes(bytes(3200))
    return file.getvalue()


@pytest.mark.parametrize("path", ["/api/v1/jobs", "/v1/audio/transcriptions"])
def test_row_73_path_tricks_in_file_names_and_languages_put_nothing_elsewhere(server: Server, path: str) -> None:
    taken = 0
    for trick in AS_TEXT:
        for language in ("en", trick):
            name = trick.replace("\0", "%00")
            status, body = upload(server, path, file_name=name, language=language)
            # With a language there is nothing wrong but the name, which is mere text, or none at all.
            assert status in ({200, 202, 400} if language == "en" else {400, 422}), (trick, language, status, body)
            taken += status < 300
            if status == 202:
                told = json.loads(body)["file_name"]
                assert not set(told) & set("/\\\0")
                assert told not in (".", "..")
    assert taken > len(AS_TEXT) // 2


def upload(server: Server, path: str, *, file_name: str, language: str) -> tuple[int, bytes]:
    boundary = "limit"
    parts = [
        b'Content-Disposition: form-data; name="model"\r\n\r\nwhisper-1',
        f'Content-Disposition: form-data; name="language"\r\n\r\n{language}'.encode(),
        f'Content-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'.encode() + wav(),
    ]
    if path.startswith("/api"):
        del parts[0]
    body = b"".join(f"--{boundary}\r\n".encode() + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return ask(server, "POST", path, body, Content_Type=f"multipart/form-data; boundary={boundary}")


EXPORTED = ("txt", "srt", "vtt", "json", "csv", "docx")


@pytest.mark.django_db
@pytest.mark.databases
def test_row_73_path_tricks_in_titles_and_speakers_stay_text_in_exports() -> None:
    sessions: list[Any] = [make_session("text", title=trick.replace("\0", ""), language="en") for trick in AS_TEXT]
    for session in sessions:
        session.segments.update(speaker="../../etc/passwd")
    with zipfile.ZipFile(io.BytesIO(b"".join(write_zip(sessions)))) as archive:
        names = archive.namelist()
    assert len(names) == len(set(names)) == len(sessions) * len(EXPORTED)
    assert all(re.fullmatch(rf"[A-Za-z0-9_-]+\.({'|'.join(EXPORTED)})", name) for name in names)
