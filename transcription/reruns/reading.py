"""What two sessions heard of the same audio, read from the database."""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import F

from transcription.models import TranscriptionSession, TranscriptSegment
from transcription.reruns.comparison import Rates, Row, Said, compare_sides, rate
from transcription.review.models import Review
from transcription.review.transcript import read_texts


class Comparison(NamedTuple):
    """first: the session that was recorded; second: the rerun."""

    rows: list[Row]
    rates: Rates


def compare_sessions(original: TranscriptionSession, rerun: TranscriptionSession) -> Comparison:
    """The machine's texts of both, and their word error rates against the original's text as people left it."""
    first, second = _heard(original), _heard(rerun)
    return Comparison(compare_sides(first, second), rate(first, second, _corrected(original)))


def compare_rates(original: TranscriptionSession, rerun: TranscriptionSession) -> Rates:
    reference = _corrected(original)
    return Rates(None, None) if reference is None else rate(_heard(original), _heard(rerun), reference)


def _heard(session: TranscriptionSession) -> list[Said]:
    rows = TranscriptSegment.objects.filter(session=session).order_by("index")
    return sorted(Said(*values) for values in rows.values_list("start_ms", "end_ms", "asr_text"))


def _corrected(session: TranscriptionSession) -> str | None:
    """The text as it stands, if somebody has edited it or marked it reviewed."""
    is_edited = TranscriptSegment.objects.filter(session=session).exclude(text=F("asr_text")).exists()
    if not is_edited and not Review.objects.filter(session=session, reviewed_at__isnull=False).exists():
        return None
    return " ".join(passage.text for passage in read_texts(session))
