"""Receiving a file: straight to the disk, within bounds, and nothing left of what did not come whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from transcription.errors import AtCapacity, BadMessage, MessageTooLarge, StorageUnavailable, TimedOutClient
from transcription.files.body import FORM_BYTES, ClientGone, Uploads, display_name
from transcription.files.folder import UploadFolder

SCOPE = {"headers": [(b"content-type", b"multipart/form-data; boundary=b")]}
PART = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
FIELD = b'--b\r\nContent-Disposition: form-data; name="language"\r\n\r\nen\r\n'
END = b"\r\n--b--\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> UploadFolder:
    return UploadFolder(tmp_path / "uploads", min_free_bytes=0)


@pytest.fixture
def uploads(folder: UploadFolder) -> Iterator[Uploads]:
    uploads = Uploads(folder, at_once=1, max_bytes=1_000_000)
    yield uploads
    uploads.close()


def names(folder: UploadFolder) -> list[str]:
    return [path.name for path in folder.path.iterdir()] if folder.path.exists() else []


class Sending:
    """A client that sends pieces, and then leaves, or goes on without sending anything. waits: it does."""

    def __init__(self, pieces: Sequence[bytes], *, then: str = "end") -> None:
        self._pieces = list(pieces)
        self._then = then
        self.waits = asyncio.Event()

    async def __call__(self) -> Any:
        if self._pieces:
            piece = self._pieces.pop(0)
            return {"type": "http.request", "body": piece, "more_body": bool(self._pieces) or self._then != "end"}
        self.waits.set()
        if self._then == "silence":
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}


@pytest.mark.parametrize("piece_bytes", [1, 7, 100_000])
async def test_fields_and_file_are_found_however_they_are_cut(uploads: Uploads, piece_bytes: int) -> None:
    body = FIELD + PART + bytes(range(256)) + END
    pieces = [body[start : start + piece_bytes] for start in range(0, len(body), piece_bytes)]

    form = await uploads.form(SCOPE, Sending(pieces))

    assert form.fields == {"language": ["en"]}
    assert (form.upload.file_name, form.upload.size_bytes) == ("a.wav", 256)
    assert form.upload.file.read() == bytes(range(256))
    form.upload.close()


async def test_a_stored_file_has_a_name_until_it_is_discarded(uploads: Uploads, folder: UploadFolder) -> None:
    form = await uploads.form(SCOPE, Sending([PART + b"x" + END]), stored=True)

    assert names(folder) == [form.upload.stored_name]
    uploads.discard(form.upload)
    assert names(folder) == []


async def test_a_whole_body_can_be_a_file(uploads: Uploads) -> None:
    upload = await uploads.raw({"headers": []}, Sending([b"abc", b"", b"def"]))

    assert (upload.file.read(), upload.size_bytes) == (b"abcdef", 6)
    upload.close()


async def test_a_file_that_says_it_is_too_large_is_not_read(uploads: Uploads) -> None:
    length = (b"content-length", str(1_000_001 + FORM_BYTES).encode())
    sending = Sending([])

    with pytest.raises(MessageTooLarge):
        await uploads.form({"headers": [*SCOPE["headers"], length]}, sending)
    assert not sending.waits.is_set()


async def test_a_file_that_becomes_too_large_leaves_nothing(uploads: Uploads, folder: UploadFolder) -> None:
    piece = bytes(500_000)
    sending = Sending([PART, *[piece] * 20, END])

    with pytest.raises(MessageTooLarge) as caught:
        await uploads.form(SCOPE, sending, stored=True)
    assert caught.value.reason == "file_too_large"
    assert names(folder) == []


async def test_a_client_that_leaves_leaves_nothing(uploads: Uploads, folder: UploadFolder) -> None:
    with pytest.raises(ClientGone):
        await uploads.form(SCOPE, Sending([PART, b"x"], then="leave"), stored=True)
    assert names(folder) == []


async def test_a_client_that_stands_still_is_not_waited_for(folder: UploadFolder) -> None:
    uploads = Uploads(folder, at_once=1, max_bytes=1000, piece_timeout_s=0.05)

    with pytest.raises(TimedOutClient) as caught:
        await uploads.form(SCOPE, Sending([PART], then="silence"), stored=True)
    assert caught.value.reason == "upload_timed_out"
    assert names(folder) == []
    uploads.close()


async def test_so_many_files_are_received_at_a_time(folder: UploadFolder) -> None:
    uploads = Uploads(folder, at_once=1, max_bytes=1000, piece_timeout_s=0.5)
    sending = Sending([PART], then="silence")
    first = asyncio.create_task(uploads.form(SCOPE, sending))
    await sending.waits.wait()

    with pytest.raises(AtCapacity) as caught:
        await uploads.form(SCOPE, Sending([PART + END]))
    assert caught.value.retry_after_ms
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    form = await uploads.form(SCOPE, Sending([PART + END]))
    form.upload.close()
    uploads.close()


async def test_a_full_disk_is_said(tmp_path: Path) -> None:
    uploads = Uploads(UploadFolder(tmp_path, min_free_bytes=2**60), at_once=1, max_bytes=1000)
    length = (b"content-length", b"100")

    with pytest.raises(StorageUnavailable):
        await uploads.raw({"headers": [length]}, Sending([]))
    uploads.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        FIELD + END,
        PART + b"x\r\n" + PART + b"y" + END,
        PART.replace(b'"file"', b'"other"') + b"x" + END,
        b"--b\r\nrubbish",
    ],
    ids=["empty", "no file", "two files", "another name", "rubbish"],
)
async def test_a_form_without_its_one_file_is_refused(uploads: Uploads, folder: UploadFolder, body: bytes) -> None:
    with pytest.raises(BadMessage):
        await uploads.form(SCOPE, Sending([body]), stored=True)
    assert names(folder) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("talk.mp3", "talk.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\anna\\talk.mp3", "talk.mp3"),
        ("\u202ecalf.exe\x07", "calf.exe"),
        ("Gespräch ☕.ogg", "Gespräch ☕.ogg"),
        ("..", ".."),
        ("", ""),
    ],
)
def test_a_file_name_is_only_shown(name: str, shown: str) -> None:
    assert display_name(name) == shown
