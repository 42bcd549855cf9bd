"""Transcripts as subtitles: SubRip and WebVTT."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from transcription.exports.cues import Cue, hold_cues, make_cues
from transcription.exports.formats import format_time
from transcription.exports.options import ExportOptions
from transcription.exports.passages import Passage
from transcription.exports.prose import gap_in_words, read_prose
from transcription.exports.safe_text import close_directions, one_line
from transcription.models import TranscriptionSession
from transcription.storage.coverage import Span

_SRT_MARKUP = re.compile(r"<(?=[/!a-zA-Z])|\{(?=\\)")


class Subtitle(NamedTuple):
    """A cue with what is told of it. identifier: of the segment and the part of it, or of the gap."""

    cue: Cue
    identifier: str
    speaker: str


def read_subtitles(session: TranscriptionSession, options: ExportOptions, format: str) -> Iterator[Subtitle]:
    """In order, each as long as it is read where there is room."""
    with_speakers = options.has_speakers(format)
    told: list[tuple[str, str]] = []

    def cut() -> Iterator[Cue]:
        for item in read_prose(session, options, with_gaps=options.has_gaps(format)):
            for part, cue in enumerate(_cues(item, options)):
                if isinstance(item, Span):
                    told.append((f"gap-{item.start_ms}", ""))
                else:
                    told.append((f"{item.id}-{part}", one_line(item.speaker) if with_speakers else ""))
                yield cue

    # hold_cues looks one cue ahead, so what is told waits with it.
    for cue in hold_cues(cut(), options.cue_limits):
        yield Subtitle(cue, *told.pop(0))


def _cues(item: Passage | Span, options: ExportOptions) -> Iterator[Cue]:
    if isinstance(item, Span):
        return make_cues(gap_in_words(item), item.start_ms, item.end_ms, limits=options.cue_limits)
    return make_cues(one_line(item.text), item.start_ms, item.end_ms, item.heard, options.cue_limits)


def write_srt(session: TranscriptionSession, options: ExportOptions) -> Iterator[str]:
    """SubRip, where a speaker stands in front of the first line."""
    for number, (cue, _identifier, speaker) in enumerate(read_subtitles(session, options, "srt"), start=1):
        lines = (f"{speaker}: {cue.lines[0]}", *cue.lines[1:]) if speaker else cue.lines
        begin, end = format_time(cue.start_ms, ","), format_time(cue.end_ms, ",")
        yield f"{number}\n{begin} --> {end}\n" + "\n".join(map(escape_srt, lines)) + "\n\n"


def write_vtt(session: TranscriptionSession, options: ExportOptions) -> Iterator[str]:
    """WebVTT, where a speaker is the voice of a cue."""
    yield "WEBVTT\n\n"
    for cue, identifier, speaker in read_subtitles(session, options, "vtt"):
        voice = f"<v {escape_vtt(speaker)}>" if speaker else ""
        lines = "\n".join(escape_vtt(close_directions(line)) for line in cue.lines)
        yield f"{identifier}\n{format_time(cue.start_ms)} --> {format_time(cue.end_ms)}\n{voice}{lines}\n\n"


def escape_srt(line: str) -> str:
    """A line of SubRip, which has no escapes: an arrow would be read as a line of times.

    What players take for markup, `<b>` and `{\\an8}`, is parted by a space without width, so that it is shown.
    """
    return close_directions(_SRT_MARKUP.sub("\\g<0>\u200b", line.replace("-->", "→")))


def escape_vtt(text: str) -> str:
    """Text as the text of a cue: with `>` escaped no line can hold the arrow that begins a cue."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
