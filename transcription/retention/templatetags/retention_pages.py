"""What the page of a session says of its protection."""

from __future__ import annotations

from typing import Any

from django import template

from transcription import access
from transcription.models import TranscriptionSession
from transcription.retention.models import MAX_REASON_CHARACTERS, Protection

register = template.Library()


@register.inclusion_tag("console/session_protection.html", takes_context=True)
def session_protection(context: template.Context, session: TranscriptionSession) -> dict[str, Any]:
    """The card; empty for those whom it does not concern."""
    request = context["request"]
    who = getattr(request, "auth", request.user)
    protection = Protection.objects.filter(session_id=session.pk).first()
    return {
        "session": session,
        "protection": protection,
        "may_protect": protection is None and access.may_protect(who, session),
        "may_unprotect": protection is not None and access.may_unprotect(who, protection),
        "max_reason_characters": MAX_REASON_CHARACTERS,
        "csrf_token": context.get("csrf_token"),
    }
