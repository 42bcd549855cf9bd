"""Transcripts for programs: JSON, and CSV that a spreadsheet opens without harm."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from typing import Any

from transcription.exports.formats import format_time
from transcription.exports.options import ExportOptions
from transcription.exports.passages import Passage, read_passages
from transcription.exports.prose import gap_in_words, read_prose
from transcription.exports.safe_text import cell
from transcription.models import TranscriptionSession
from transcription.storage.coverage import Span
from transcription.storage.ledger import build_ledger

WORD_KEYS = ("word", "start_ms", "end_ms", "confidence", "speaker")
CSV_COLUMNS = (
    "segment", "start", "end", "start_ms", "end_ms", "speaker", "text", "confidence", "edited", "reviewed",
)  # fmt: skip
# Without it spreadsheets take UTF-8 for something older.
BYTE_ORDER_MARK = "\ufeff"


def write_json(session: TranscriptionSession, options: ExportOptions) -> Iterator[str]:
    spans: list[Span] = []
    head = {"session_id": session.public_id, "language": session.language}
    yield _dump(head)[:-1] + ', "segments": ['
    for passage in read_passages(session, options.text):
        yield (",\n" if spans else "\n") + _dump(_segment_json(passage))
        spans += passage.spans
    ledger = build_ledger(session, spans)
    yield '\n], "audio_ms": ' + str(ledger.audio_ms)
    yield ', "gaps": ' + json.dumps([gap._asdict() for gap in ledger.lost])
    yield ', "coverage": ['
    for number, interval in enumerate(ledger.intervals):
        yield (", " if number else "") + _dump(interval._asdict())
    yield "]}\n"


def _segment_json(passage: Passage) -> dict[str, Any]:
    return {
        "segment": passage.index,
        "id": passage.id,
        "start_ms": passage.start_ms,
        "end_ms": passage.end_ms,
        "text": passage.text,
        "asr_text": passage.asr_text,
        "confidence": passage.confidence,
        "speaker": passage.speaker or None,
        # In one order: PostgreSQL keeps JSON objects by the length of their keys.
        "words": [{key: word.get(key) for key in WORD_KEYS} for word in passage.words],
    }


def _dump(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_csv(session: TranscriptionSession, options: ExportOptions) -> Iterator[str]:
    """A row for each segment, and for each gap one without a segment's number (RFC 4180, in UTF-8)."""
    writer = csv.writer(_Line())
    yield BYTE_ORDER_MARK + writer.writerow(CSV_COLUMNS)
    has_speakers = options.has_speakers("csv")
    for item in read_prose(session, options, with_gaps=options.has_gaps("csv")):
        times = (format_time(item.start_ms), format_time(item.end_ms), item.start_ms, item.end_ms)
        if isinstance(item, Span):
            row: tuple[Any, ...] = ("", *times, "", gap_in_words(item), "", "", "")
        else:
            speaker = cell(item.speaker) if has_speakers else ""
            flags = ("yes" if item.is_edited else "", "yes" if item.is_reviewed else "")
            row = (item.id, *times, speaker, cell(item.text), item.confidence, *flags)
        yield writer.writerow(row)


class _Line:
    """What a writer of CSV writes to: it hands the line back to whoever asked for it."""

    def write(self, line: str) -> str:
        return line
