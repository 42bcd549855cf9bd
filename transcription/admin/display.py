"""How facts look in the admin."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.search.session_list import SEGMENTS_PER_PART

TEXT_IN_LISTS_CHARACTERS = 60
SHOWN_ID_CHARACTERS = 18


def format_duration(milliseconds: int) -> str:
    """`3:07`, from an hour on `1:03:07`."""
    minutes, seconds = divmod(milliseconds // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def shorten(text: str) -> str:
    """The beginning of a text, for a list."""
    if len(text) <= TEXT_IN_LISTS_CHARACTERS:
        return text
    return text[:TEXT_IN_LISTS_CHARACTERS].rstrip() + "…"


def short_name(session: TranscriptionSession) -> str:
    """Title or id, for a list; ids of clients have up to 64 characters."""
    return shorten(session.title) or Truncator(session.public_id).chars(SHOWN_ID_CHARACTERS)


def state_badge(session: TranscriptionSession) -> str:
    return format_html('<span class="state state-{}">{}</span>', session.state, session.get_state_display())


def console_address(session: TranscriptionSession) -> str:
    return reverse("session", kwargs={"public_id": session.public_id})


def review_address(segment: TranscriptSegment) -> str:
    """The page where a segment is reviewed with all that is around it."""
    part = segment.index // SEGMENTS_PER_PART
    query = f"?{urlencode({'part': part})}" if part else ""
    return f"{console_address(segment.session)}{query}#segment-{segment.index}"


def moment(when: datetime | None) -> str | None:
    """A moment short enough for a list, in the viewer's time zone; sorts as it reads."""
    if when is None:
        return None
    local = timezone.localtime(when)
    return format_html(
        '<time class="moment" datetime="{}"><span>{}</span> <span>{}</span></time>',
        when.isoformat(),
        local.strftime("%Y-%m-%d"),
        local.strftime("%H:%M"),
    )


def with_second_line(first: str, second: str = "") -> str:
    """Two facts in one cell of a list; the second one smaller, if there is one."""
    return format_html('{}<span class="second-line">{}</span>', first, second) if second else first


def console_link(session: TranscriptionSession, words: str = "") -> str:
    return format_html('<a href="{}">{}</a>', console_address(session), words or _("Open in console"))


def session_link(session: TranscriptionSession) -> str:
    address = reverse("admin:transcription_transcriptionsession_change", args=[session.pk])
    return format_html('<a href="{}"><bdi>{}</bdi></a>', address, short_name(session))


def segment_list_address(session: TranscriptionSession) -> str:
    query = urlencode({"session__id__exact": session.pk})
    return f"{reverse('admin:transcription_transcriptsegment_changelist')}?{query}"


def paragraph(text: str) -> str:
    """Text of any script, in its own direction."""
    return format_html('<span dir="auto" class="transcript-text">{}</span>', text)
