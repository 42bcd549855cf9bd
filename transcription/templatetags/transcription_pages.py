"""Numbers and times as the pages write them."""

from __future__ import annotations

from urllib.parse import urlencode

from django import template
from django.utils.formats import get_format
from django.utils.translation import gettext as _

from transcription.models import TranscriptSegment
from transcription.pages.words import seconds_in_words, write_decimal
from transcription.search.queries import Hit
from transcription.search.session_list import SEGMENTS_PER_PART

register = template.Library()

MS_PER_MINUTE = 60_000
UNMEASURED = "\u2013"


@register.filter
def duration(ms: int | None) -> str:
    """252 000 ms as `04:12`; from an hour on `1:04:12`."""
    minutes, seconds = divmod(int(ms or 0) // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"


@register.filter
def seconds(ms: int | None) -> str:
    """340 ms as `0.34 s`; nothing measured as a dash."""
    return UNMEASURED if ms is None else _("%(count)s s") % {"count": write_decimal(ms / 1000, 2)}


@register.filter
def moment(ms: int) -> str:
    """7900 ms as `00:07.9`: a time in the audio, for stretches that may be short."""
    return f"{duration(ms)}{get_format('DECIMAL_SEPARATOR')}{ms // 100 % 10}"


@register.filter
def length_in_words(ms: int) -> str:
    """2400 ms as `2.4 s`, from a minute on as a duration."""
    return seconds_in_words(ms) if ms < MS_PER_MINUTE else duration(ms)


@register.filter
def grouped(number: int) -> str:
    """12345 as `12 345`, with a narrow space that no language misreads."""
    return f"{number:,}".replace(",", "\u202f")


@register.simple_tag
def place_of(hit: Hit) -> str:
    """The rest of an address of a session's page that opens it at the word that was found.

    `t` is that word's time in seconds; without a script the segment is shown.
    """
    part = hit.segment.index // SEGMENTS_PER_PART
    query: dict[str, float] = {"t": hit.time_ms / 1000} | ({"part": part} if part else {})
    return f"?{urlencode(query)}#segment-{hit.segment.index}"


@register.simple_tag
def part_of(segment: TranscriptSegment) -> str:
    """The query that shows the part of a long transcript in which a segment is."""
    part = segment.index // SEGMENTS_PER_PART
    return f"?part={part}" if part else ""
