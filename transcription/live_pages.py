"""What the live page and the page of a live session ask for while they are open."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_GET

from transcription import access
from transcription.principals import Principal
from transcription.timeline.rows import read_events
from transcription.timeline.words import timeline_of
from transcription.views import page


@require_GET
@page
def session_timeline(request: HttpRequest, principal: Principal, public_id: str) -> JsonResponse:
    """What happened to a session so far, in words: at (ISO 8601), text, tone, and audio_ms where it is known."""
    found = access.get_session(public_id, principal)
    entries = timeline_of(found, read_events(found.pk))
    return JsonResponse(
        {
            "entries": [
                {"at": entry.at.isoformat(), "text": entry.text, "tone": entry.tone, "audio_ms": entry.audio_ms}
                for entry in entries
            ]
        }
    )
