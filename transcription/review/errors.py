"""Why a change of a transcript is refused: somebody was quicker, or now is not the time. All are 409."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from transcription.errors import TranscriptionError


class ReviewRefused(TranscriptionError):
    """The change cannot be made as things stand; see docs/review-api.md for the reasons."""

    code, default_reason = 4409, "not_ended"


class EditConflict(TranscriptionError):
    """It was changed since the version that the change is based on; the client shows both and asks.

    details: `version` of the review, `current`, the segment as it stands (null where the change was about several),
    `changed_by` and `changed_at`, who made it so and when (null where nobody is known), and `yours`, the text that was
    sent.
    """

    code, default_reason = 4409, "edit_conflict"

    def __init__(
        self,
        message: str,
        *,
        version: int,
        current: dict[str, Any] | None = None,
        yours: str | None = None,
        changed_by: str | None = None,
        changed_at: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.details = {
            "version": version,
            "current": current,
            "yours": yours,
            "changed_by": changed_by,
            "changed_at": changed_at,
        }
