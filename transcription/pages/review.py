"""What the page of an ended session needs for its player and for editing, besides what it shows without a script."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from django.utils import formats, timezone
from django.utils.translation import gettext as _

from speechsite.config import get_config
from transcription import access
from transcription.identity.principals import Principal
from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.recording.models import SessionRecording

SPEEDS = ("0.5", "0.75", "1", "1.25", "1.5", "1.75", "2")
# Segments in another language than their session; of more the rest is shown as the session's.
MAX_LANGUAGES = 2000
State = SessionRecording.State


def review_context(session: TranscriptionSession, principal: Principal, *, may_read: bool) -> dict[str, Any]:
    """For templates/console/session_ended.html. Without may_read nothing of it is for them."""
    base = f"{get_config().api_v1_str}/sessions/{session.public_id}"
    facts = {"session_url": base, "may_retitle": access.may_change(principal, session)}
    if not may_read:
        return facts
    no_audio = why_no_audio(session, principal)
    return {
        **facts,
        "may_change": access.may_review(principal, session),
        "audio_url": "" if no_audio else f"{base}/audio",
        "no_audio": no_audio,
        "speeds": SPEEDS,
        "rebindable": list(_rebindable()),
        "review_marks": _marks(session),
    }


def why_no_audio(session: TranscriptionSession, principal: Principal) -> str:
    """In words; empty where it can be heard."""
    if not access.may_listen(principal, session):
        return _("You may read this transcript, but not hear its audio.")
    recording = SessionRecording.objects.filter(session=session).only("state", "reason", "deleted_at").first()
    if recording is None or recording.state == State.FAILED:
        return _("Audio was not kept.")
    if recording.state == State.DELETED:
        when = formats.date_format(timezone.localtime(recording.deleted_at)) if recording.deleted_at else ""
        if when and recording.reason == "retention":
            return _("Audio was deleted by retention on %(when)s.") % {"when": when}
        return _("Audio was deleted on %(when)s.") % {"when": when} if when else _("Audio was deleted.")
    if not recording.is_kept:
        return _("The audio is still being prepared. Reload this page in a moment.")
    return ""


def _marks(session: TranscriptionSession) -> dict[str, Any]:
    """What the page says of single segments that the API of reviews does not."""
    segments = TranscriptSegment.objects.filter(session=session).order_by("index")
    cut_off = segments.filter(Q(tail=True) | Q(promoted=True)).values_list("index", flat=True)
    other = segments.exclude(language__in=("", session.language)).values_list("index", "language")[:MAX_LANGUAGES]
    to_ms = session.audio_format.bytes_to_ms
    return {
        "cut_off": list(cut_off),
        "languages": [list(row) for row in other],
        "gaps": [[to_ms(start), to_ms(end)] for start, end in session.gaps],
    }


def _rebindable() -> list[tuple[str, str]]:
    """Actions whose keys people may choose, in the order of the help."""
    return [
        ("play", _("Play or pause")),
        ("back", _("Back 5 seconds")),
        ("forward", _("Forward 5 seconds")),
        ("slower", _("Slower")),
        ("faster", _("Faster")),
        ("insertTime", _("Insert the time")),
    ]
