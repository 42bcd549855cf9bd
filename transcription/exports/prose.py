"""A transcript in the order in which it is read: passages, and between them where audio was lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from django.utils.translation import gettext as _

from transcription.exports.formats import format_clock
from transcription.exports.options import ExportOptions
from transcription.exports.passages import Passage, read_passages
from transcription.exports.safe_text import one_line
from transcription.models import TranscriptionSession
from transcription.pages.words import seconds_in_words
from transcription.storage.coverage import Span
from transcription.storage.ledger import read_ledger


def read_prose(session: TranscriptionSession, options: ExportOptions, *, with_gaps: bool) -> Iterator[Passage | Span]:
    """Passages that have a text, and gaps as spans where they are wanted, each in its place."""
    gaps = deque(read_ledger(session).lost if with_gaps else [])
    for passage in read_passages(session, options.text):
        while gaps and gaps[0].start_ms <= passage.start_ms:
            yield gaps.popleft()
        if passage.text.strip():
            yield passage
    yield from gaps


def gap_in_words(gap: Span) -> str:
    length = seconds_in_words(gap.end_ms - gap.start_ms)
    return _("[%(length)s of audio lost]") % {"length": length}


def write_txt(session: TranscriptionSession, options: ExportOptions) -> Iterator[str]:
    """A line for each segment, and where audio was lost a line that says so."""
    has_speakers, has_times = options.has_speakers("txt"), options.has_times("txt")
    for item in read_prose(session, options, with_gaps=options.has_gaps("txt")):
        time = f"[{format_clock(item.start_ms)}] " if has_times else ""
        if isinstance(item, Span):
            yield f"{time}{gap_in_words(item)}\n"
            continue
        speaker = f"{one_line(item.speaker)}: " if has_speakers and item.speaker else ""
        yield f"{time}{speaker}{one_line(item.text)}\n"
