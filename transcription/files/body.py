"""Receiving a file over HTTP: from the socket straight to the disk, within bounds, in a thread of its own.

Django would gather a body of any size before it asks who sends it, and then copy it once more.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, BinaryIO, TypeVar, cast

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import FileUploadHandler
from django.http import QueryDict
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.translation import gettext as _

from transcription.errors import AtCapacity, BadMessage, MessageTooLarge, StorageUnavailable, TimedOutClient
from transcription.files.folder import UploadFolder
from transcription.options import clean_text

# Between two pieces of a body.
PIECE_TIMEOUT_S = 30.0
WRITE_BYTES = 256 * 1024
HEAD_BYTES = 4096
# The disk is looked at again each so many bytes, for other uploads fill it too.
CHECK_ROOM_EVERY_BYTES = 32 * 1024 * 1024
# What multipart adds to a file: the other fields, and the lines around them.
FORM_BYTES = 4 * 1024 * 1024
MAX_FILE_NAME_CHARACTERS = 200
RETRY_AFTER_MS = 2000
FILE_FIELD = "file"

Receive = Callable[[], Awaitable[Any]]
Received = TypeVar("Received")


class ClientGone(Exception):
    """The client left before its request was complete: nobody waits for an answer."""


@dataclass(slots=True)
class Upload:
    """A received file, positioned at its beginning. stored_name: in the folder; "" for one without a name.

    head_bytes: at the beginning, that did not come from the client.
    """

    file: BinaryIO
    file_name: str = ""
    stored_name: str = ""
    size_bytes: int = 0
    head_bytes: int = 0

    def close(self) -> None:
        self.file.close()


@dataclass(slots=True)
class Form:
    """fields: the values of each, in order. upload: the file of the field `file`."""

    upload: Upload
    fields: dict[str, list[str]] = field(default_factory=dict)


class Uploads:
    """What the uploads of one process share: threads to write with, and bounds."""

    def __init__(
        self, folder: UploadFolder, *, at_once: int, max_bytes: int, piece_timeout_s: float = PIECE_TIMEOUT_S
    ) -> None:
        self.folder = folder
        self._piece_timeout_s = piece_timeout_s
        self._at_once = at_once
        self._max_bytes = max_bytes
        self._coming_in = 0
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="upload")

    async def form(self, scope: Mapping[str, Any], receive: Receive, *, stored: bool = False) -> Form:
        """The fields and the file of a multipart request; the caller closes the file, and deletes a stored one.

        Raises BadMessage, MessageTooLarge, AtCapacity, StorageUnavailable, TimedOutClient and ClientGone.
        """
        headers = _headers(scope)
        if not headers.get("content-type", "").startswith("multipart/form-data"):
            raise BadMessage(_("Send the file as multipart/form-data."), reason="not_multipart")
        parse = functools.partial(_parse, headers, folder=self.folder, stored=stored)
        return await self._received(headers, receive, FORM_BYTES, parse)

    async def raw(
        self, scope: Mapping[str, Any], receive: Receive, *, head_of: Callable[[bytes], bytes] = lambda _first: b""
    ) -> Upload:
        """The whole body as a file; the caller closes it. Raises as form() does.

        head_of: what to put before the body, told its first bytes (HEAD_BYTES, or all there are).
        """
        copy = functools.partial(_copy, folder=self.folder, head_of=head_of)
        return await self._received(_headers(scope), receive, 0, copy)

    def discard(self, upload: Upload) -> None:
        """Close a file, and delete a stored one."""
        upload.close()
        self.folder.delete(upload.stored_name)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _received(
        self, headers: Mapping[str, str], receive: Receive, around_bytes: int, read: Callable[[_Body], Received]
    ) -> Received:
        self._check_length(headers.get("content-length", ""), around_bytes)
        if self._coming_in >= self._at_once:
            raise AtCapacity(_("Too many files are being uploaded. Please try again."), retry_after_ms=RETRY_AFTER_MS)
        self._coming_in += 1
        body = _Body(receive, asyncio.get_running_loop(), self._max_bytes + around_bytes, self._piece_timeout_s)
        reading = asyncio.get_running_loop().run_in_executor(self._threads, read, body)
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            body.close()
            reading.add_done_callback(self._discard_result)
            raise
        finally:
            self._coming_in -= 1

    def _discard_result(self, reading: asyncio.Future[Any]) -> None:
        """Of a request that was cancelled while its thread was still reading."""
        if not reading.cancelled() and reading.exception() is None:
            result = reading.result()
            self.discard(result.upload if isinstance(result, Form) else result)

    def _check_length(self, text: str, around_bytes: int) -> None:
        """Refuse what is too large before any of it is read."""
        if not text.isdecimal():
            return
        if int(text) > self._max_bytes + around_bytes:
            raise _too_large(self._max_bytes)
        self.folder.check_room(int(text))


class _Body:
    """The body of a request as a file that a thread reads."""

    def __init__(
        self, receive: Receive, loop: asyncio.AbstractEventLoop, max_bytes: int, piece_timeout_s: float
    ) -> None:
        self._receive = receive
        self._piece_timeout_s = piece_timeout_s
        self._loop = loop
        self._max_bytes = max_bytes
        self._received = 0
        self._held = b""
        self._is_over = False
        self._is_closed = False

    def close(self) -> None:
        self._is_closed = True

    def read(self, size: int = -1) -> bytes:
        """At most size bytes, b"" at the end. Raises MessageTooLarge, TimedOutClient, ClientGone."""
        while not self._held and not self._is_over:
            # Its own timeout is the shorter: this one is for a loop that no longer turns.
            self._held = asyncio.run_coroutine_threadsafe(self._piece(), self._loop).result(2 * self._piece_timeout_s)
        size = len(self._held) if size < 0 else size
        piece, self._held = self._held[:size], self._held[size:]
        return piece

    async def _piece(self) -> bytes:
        if self._is_closed:
            raise ClientGone
        try:
            async with asyncio.timeout(self._piece_timeout_s):
                message = await self._receive()
        except TimeoutError:
            raise TimedOutClient(_("The file came too slowly."), reason="upload_timed_out") from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        self._is_over = not message.get("more_body", False)
        piece: bytes = message.get("body", b"")
        self._received += len(piece)
        if self._received > self._max_bytes:
            raise _too_large(self._max_bytes)
        return piece


class _ToFolder(FileUploadHandler):
    """Writes the one file of a form to the folder."""

    chunk_size = WRITE_BYTES

    def __init__(self, folder: UploadFolder, *, stored: bool) -> None:
        super().__init__()
        self._writer = _Writer(folder, stored=stored)
        self.upload: Upload | None = None

    def new_file(self, field_name: str, file_name: str, *args: Any, **kwargs: Any) -> None:
        if field_name != FILE_FIELD or self.upload is not None:
            raise BadMessage(_("Send one file, in the field `file`."), reason="bad_form", field=field_name[:64])
        super().new_file(field_name, file_name, *args, **kwargs)
        self.upload = self._writer.begin(display_name(file_name))

    def receive_data_chunk(self, raw_data: bytes, start: int) -> None:
        self._writer.write(raw_data)

    def file_complete(self, file_size: int) -> None:
        """Nothing for Django's own list of files."""

    def abandon(self) -> None:
        self._writer.abandon()


class _Writer:
    """One file on its way into the folder."""

    def __init__(self, folder: UploadFolder, *, stored: bool) -> None:
        self._folder = folder
        self._stored = stored
        self._unchecked = 0
        self.upload: Upload | None = None

    def begin(self, file_name: str) -> Upload:
        stored_name, file = self._folder.new_stored() if self._stored else ("", self._folder.new())
        self.upload = Upload(file, file_name, stored_name)
        return self.upload

    def write(self, piece: bytes) -> None:
        assert self.upload is not None  # noqa: S101 - begun before
        self._unchecked += len(piece)
        if self._unchecked > CHECK_ROOM_EVERY_BYTES:
            self._folder.check_room(0)
            self._unchecked = 0
        self.upload.size_bytes += len(piece)
        self.upload.file.write(piece)

    def abandon(self) -> None:
        if self.upload is not None:
            self.upload.close()
            self._folder.delete(self.upload.stored_name)


def _parse(headers: Mapping[str, str], body: _Body, *, folder: UploadFolder, stored: bool) -> Form:
    handler = _ToFolder(folder, stored=stored)
    # The parser takes no length for no body; how long it may be is counted elsewhere.
    length = headers.get("content-length", "")
    meta = {"CONTENT_TYPE": headers["content-type"], "CONTENT_LENGTH": length if length.isdecimal() else "1"}
    is_complete = False
    try:
        fields, _files = MultiPartParser(meta, cast(Any, body), [handler]).parse()
        if handler.upload is None:
            raise BadMessage(_("The request has no file; send it in the field `file`."), reason="no_file", field="file")
        handler.upload.file.seek(0)
        is_complete = True
        return Form(handler.upload, _texts(fields))
    except (MultiPartParserError, SuspiciousOperation, UnicodeError):
        raise BadMessage(_("The form cannot be read."), reason="bad_form") from None
    except OSError as error:
        raise _cannot_store(error) from None
    finally:
        if not is_complete:
            handler.abandon()


def _copy(body: _Body, *, folder: UploadFolder, head_of: Callable[[bytes], bytes]) -> Upload:
    writer = _Writer(folder, stored=False)
    is_complete = False
    try:
        upload = writer.begin("")
        first = b""
        while len(first) < HEAD_BYTES and (piece := body.read()):
            first += piece
        head = head_of(first[:HEAD_BYTES])
        upload.head_bytes = len(head)
        writer.write(head + first)
        while piece := body.read():
            writer.write(piece)
        upload.file.seek(0)
        is_complete = True
        return upload
    except OSError as error:
        raise _cannot_store(error) from None
    finally:
        if not is_complete:
            writer.abandon()


def display_name(file_name: str) -> str:
    """A client's file name as text to show, without the folders it may name."""
    name = PurePath(clean_text(file_name).replace("\\", "/")).name
    return "".join(character for character in name if character.isprintable())[:MAX_FILE_NAME_CHARACTERS]


def _texts(fields: QueryDict) -> dict[str, list[str]]:
    return {clean_text(name): [clean_text(str(value)) for value in values] for name, values in fields.lists()}


def _headers(scope: Mapping[str, Any]) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _too_large(max_bytes: int) -> MessageTooLarge:
    return MessageTooLarge(
        _("The file is larger than %(size)d bytes, the most that is taken.") % {"size": max_bytes},
        reason="file_too_large",
        field=FILE_FIELD,
    )


def _cannot_store(_error: OSError) -> StorageUnavailable:
    return StorageUnavailable(_("The file cannot be stored right now. Please try again."), reason="disk_full")
