"""A recording as an open file of this machine, wherever its storage is."""

from __future__ import annotations

import shutil
import tempfile
from typing import BinaryIO, cast

from django.utils.translation import gettext as _

from transcription.errors import NotFound, StorageUnavailable
from transcription.recording.models import SessionRecording
from transcription.recording.storage import recordings

COPY_BLOCK_BYTES = 1024 * 1024


def find_name(session_key: int) -> str:
    """On a database thread. Raises NotFound where nothing is kept any more."""
    recording = SessionRecording.objects.filter(session=session_key).only("state", "name").first()
    if recording is None or not recording.is_kept:
        raise NotFound(_("The audio of this session was deleted."), reason="audio_deleted")
    return recording.name


def open_recording(name: str) -> BinaryIO:
    """For a thread that may wait. Raises NotFound, StorageUnavailable.

    The decoder is a process and takes a descriptor; what a storage far away gives has none and is copied.
    """
    try:
        file = recordings().open(name, "rb")
        try:
            file.fileno()
        except (OSError, AttributeError):
            copy = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - closed by who reads it
            with file:
                shutil.copyfileobj(file, copy, COPY_BLOCK_BYTES)
            copy.seek(0)
            return copy
    except FileNotFoundError:
        raise NotFound(_("The audio of this session is gone."), reason="audio_lost") from None
    except Exception as error:
        # Each backend has errors of its own; to whoever asks they are one.
        raise StorageUnavailable(_("The audio cannot be read right now."), reason="storage_unavailable") from error
    return cast(BinaryIO, file)
