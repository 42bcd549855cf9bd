"""The numbers of days that an archive's sessions come to, as the service would have counted them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date

from transcription.daily.figures import HISTOGRAMS, Figures, count_time
from transcription.models import DailyNumbers, TranscriptionSession

ROWS_PER_WRITE = 1000
# In the archive every word is rated 0.9, and nothing is edited.
COUNTED = ("created_at", "language", "api_key_id", "state", "audio_ms", "segment_count", "word_count")
TIMED = ("first_interim_ms", "final_lag_p50_ms", "final_lag_p95_ms")
Place = tuple[date, str, int]


def fill_days() -> None:
    """Fill DailyNumbers from all sessions that were counted; it must be empty."""
    sums: dict[Place, Figures] = {}
    counted = TranscriptionSession.objects.filter(counted_at__isnull=False).order_by()
    for created_at, language, key, *values in counted.values_list(*COUNTED, *TIMED).iterator():
        place = (created_at.astimezone(UTC).date(), language, key or 0)
        sums.setdefault(place, Figures()).add(figures_of(*values))
    DailyNumbers.objects.bulk_create(rows_of(sums.items()), batch_size=ROWS_PER_WRITE)


def figures_of(state: str, audio_ms: int, segments: int, words: int, *times_ms: int | None) -> Figures:
    figures = Figures(
        sessions=1,
        failed=state == "failed",
        interrupted=state == "interrupted",
        audio_ms=audio_ms,
        segments=segments,
        words=words,
        rated_words=words,
    )
    for name, time_ms in zip(HISTOGRAMS, times_ms, strict=True):
        count_time(getattr(figures, name), time_ms)
    return figures


def rows_of(sums: Iterable[tuple[Place, Figures]]) -> list[DailyNumbers]:
    rows = []
    for (day, language, key_number), figures in sorted(sums, key=lambda item: item[0]):
        row = DailyNumbers(day=day, language=language, key_number=key_number)
        row.figures = figures
        rows.append(row)
    return rows
