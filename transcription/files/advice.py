"""What a client is told whose file is too much for a request."""

from __future__ import annotations

from django.utils.translation import gettext as _

from speechsite.config import get_config
from transcription.errors import MessageTooLarge, TranscriptionError


def with_advice(error: TranscriptionError) -> TranscriptionError:
    """What is too long to be waited for is taken as a job."""
    address = f"POST {get_config().api_v1_str}/jobs"
    match error.reason:
        case "audio_too_long":
            said = _("%(message)s Send longer files to %(address)s.") % {"message": error.message, "address": address}
        case "session_timeout":
            said = _("The file took too long. Send it to %(address)s, where nobody waits for it.") % {
                "address": address
            }
        case _:
            return error
    return MessageTooLarge(said, reason=error.reason, field="file")
