"""Transcripts as documents for word processors (WordprocessingML, ECMA-376), written as they are read.

A document is a ZIP with a few files of XML. Its long one, the text, comes last, so that it may be written in pieces;
libraries for this format hold it whole in memory.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime
from xml.sax.saxutils import escape, quoteattr

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import ngettext

from transcription.exports.archive import ZipStream
from transcription.exports.docx_parts import DOCUMENT_HEAD, DOCUMENT_TAIL, PARTS, core_properties
from transcription.exports.formats import format_clock
from transcription.exports.options import ExportOptions
from transcription.exports.passages import Passage
from transcription.exports.prose import gap_in_words, read_prose
from transcription.exports.safe_text import is_right_to_left, one_line
from transcription.models import TranscriptionSession
from transcription.storage.coverage import Span

# Paragraphs gathered for one write: each costs a visit to the compressor.
PARAGRAPHS_PER_WRITE = 50
_LANGUAGE_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def write_docx(session: TranscriptionSession, options: ExportOptions) -> Iterator[bytes]:
    """The transcript of a session as a document: a title, a line of facts, a paragraph for each segment."""
    archive = ZipStream()
    moment = session.ended_at or session.created_at
    title = one_line(str(session))
    parts = PARTS | {"docProps/core.xml": core_properties(escape(title), moment)}
    for name, content in parts.items():
        yield from archive.add(_member(name, moment), [content.encode()])
    text = _in_writes(_document(session, options, title))
    yield from archive.add(_member("word/document.xml", moment), text)
    yield from archive.end()


def _member(name: str, moment: datetime) -> zipfile.ZipInfo:
    """With the session's own time: the same transcript makes the same file."""
    # What the format of ZIP can say begins in 1980.
    member = zipfile.ZipInfo(name, max(moment.timetuple()[:6], (1980, 1, 1, 0, 0, 0)))
    member.compress_type = zipfile.ZIP_DEFLATED
    return member


def _in_writes(paragraphs: Iterable[str]) -> Iterator[bytes]:
    gathered: list[str] = []
    for paragraph in paragraphs:
        gathered.append(paragraph)
        if len(gathered) == PARAGRAPHS_PER_WRITE:
            yield "".join(gathered).encode()
            gathered.clear()
    yield "".join(gathered).encode()


def _document(session: TranscriptionSession, options: ExportOptions, title: str) -> Iterator[str]:
    yield DOCUMENT_HEAD
    yield paragraph(run(title), style="Title", is_rtl=is_right_to_left(title))
    yield paragraph(run(_facts(session)), style="Subtitle")
    has_speakers, has_times = options.has_speakers("docx"), options.has_times("docx")
    style = "TimedPassage" if has_times else "Passage"
    for item in read_prose(session, options, with_gaps=options.has_gaps("docx")):
        time = run(f"{format_clock(item.start_ms)}\t", style="Time") if has_times else ""
        if isinstance(item, Span):
            yield paragraph(time + run(gap_in_words(item), style="Gap"), style=style)
        else:
            runs, is_rtl = _passage(item, session.language, has_speakers=has_speakers)
            yield paragraph(time + runs, style=style, is_rtl=is_rtl)
    yield DOCUMENT_TAIL


def _passage(passage: Passage, language: str, *, has_speakers: bool) -> tuple[str, bool]:
    """Its runs, and whether they go from right to left."""
    text = one_line(passage.text)
    is_rtl = is_right_to_left(text)
    name = one_line(passage.speaker) if has_speakers else ""
    speaker = run(f"{name}: ", style="Speaker", is_rtl=is_right_to_left(name)) if name else ""
    return speaker + run(text, language=passage.language or language, is_rtl=is_rtl), is_rtl


def _facts(session: TranscriptionSession) -> str:
    """When, how long, in which language, how many words; the time with its offset, for the file travels."""
    local = timezone.localtime(session.created_at)
    words = ngettext("%(count)d word", "%(count)d words", session.word_count) % {"count": session.word_count}
    facts = [f"{date_format(local, 'DATETIME_FORMAT')} (UTC{local:%z})", format_clock(session.audio_ms)]
    facts += [session.language, words, str(session.get_state_display())]
    return one_line(" · ".join(facts))


def paragraph(runs: str, *, style: str, is_rtl: bool = False) -> str:
    """runs: as run() makes them."""
    direction = "<w:bidi/>" if is_rtl else ""
    return f'<w:p><w:pPr><w:pStyle w:val="{style}"/>{direction}</w:pPr>{runs}</w:p>\n'


def run(text: str, *, style: str = "", language: str = "", is_rtl: bool = False) -> str:
    """A stretch of text of one kind. text: on one line, without what XML cannot hold; a tab goes to the next stop."""
    properties = f'<w:rStyle w:val="{style}"/>' if style else ""
    if is_rtl:
        properties += "<w:rtl/>"
    if _LANGUAGE_TAG.fullmatch(language):
        kind = "bidi" if is_rtl else "val"
        properties += f"<w:lang w:{kind}={quoteattr(language)}/>"
    body = f'<w:t xml:space="preserve">{escape(text.removesuffix(chr(9)))}</w:t>'
    if text.endswith("\t"):
        body += "<w:tab/>"
    return f"<w:r>{f'<w:rPr>{properties}</w:rPr>' if properties else ''}{body}</w:r>"
