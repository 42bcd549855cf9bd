"""What is counted of a session, and sums of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple, Self

from transcription.daily import histogram
from transcription.daily.histogram import Histogram, bucket_of
from transcription.review.error_rate import word_errors
from transcription.review.figures import DOUBTFUL_BELOW


class HeardSegment(NamedTuple):
    """A stored final result, as far as it is counted. words, confidence: the machine's."""

    asr_text: str
    text: str
    words: Sequence[Mapping[str, Any]]
    confidence: float | None


@dataclass(slots=True)
class Figures:
    """Counts of one session, or of many.

    rated_words: those of which the recogniser said how sure it was; doubtful_words: of these, below DOUBTFUL_BELOW.
    checked_words: of the text of reviewed_sessions, as it stands after review; word_errors: of the machine against it.
    first_interim: a count for each session. final_p50, final_p95: of each session's own median and 95th percentile
    from the last audio of an utterance to its final.
    """

    sessions: int = 0
    failed: int = 0
    interrupted: int = 0
    audio_ms: int = 0
    lost_ms: int = 0
    segments: int = 0
    words: int = 0
    rated_words: int = 0
    doubtful_words: int = 0
    edited_segments: int = 0
    reviewed_sessions: int = 0
    checked_words: int = 0
    word_errors: int = 0
    first_interim: Histogram = field(default_factory=dict)
    final_p50: Histogram = field(default_factory=dict)
    final_p95: Histogram = field(default_factory=dict)

    def add(self, other: Figures, sign: int = 1) -> None:
        for name in COUNTS:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        for name in HISTOGRAMS:
            histogram.add(getattr(self, name), getattr(other, name), sign)

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in asdict(self).items() if value}

    @classmethod
    def from_json(cls, stored: Mapping[str, Any] | None) -> Self:
        """Figures as stored by this version or another: what it does not know is left out."""
        known = {name: stored[name] for name in (*COUNTS, *HISTOGRAMS) if name in stored} if stored else {}
        figures = cls()
        for name, value in known.items():
            setattr(figures, name, dict(value) if name in HISTOGRAMS else value)
        return figures

    def percentile_ms(self, name: str, share: float) -> int | None:
        return histogram.percentile_ms(getattr(self, name), share)

    @property
    def doubtful_share(self) -> float | None:
        """Of the rated words, 0.0-1.0."""
        return self.doubtful_words / self.rated_words if self.rated_words else None

    @property
    def edited_share(self) -> float | None:
        return self.edited_segments / self.segments if self.segments else None

    @property
    def word_error_rate(self) -> float | None:
        """Of what was reviewed; may exceed 1.0."""
        return self.word_errors / self.checked_words if self.checked_words else None


HISTOGRAMS = ("first_interim", "final_p50", "final_p95")
COUNTS = tuple(each.name for each in fields(Figures) if each.name not in HISTOGRAMS)


def count_words(figures: Figures, segments: Iterable[HeardSegment], *, is_reviewed: bool = False) -> None:
    """Add what the segments of a session tell of its quality."""
    heard: list[str] = []
    corrected: list[str] = []
    for segment in segments:
        figures.segments += 1
        if is_reviewed:
            heard.append(segment.asr_text)
            corrected.append(segment.text)
        figures.edited_segments += segment.text != segment.asr_text
        # 0.0: the recogniser said nothing.
        sure = [word["confidence"] for word in segment.words if word.get("confidence")]
        if not sure and segment.confidence:
            sure = [segment.confidence] * len(segment.asr_text.split())
        figures.rated_words += len(sure)
        figures.doubtful_words += sum(confidence < DOUBTFUL_BELOW for confidence in sure)
    if is_reviewed:
        figures.reviewed_sessions += 1
        # As one: who joins segments moves words from one to the other.
        errors, words = word_errors(" ".join(heard), " ".join(corrected))
        figures.word_errors += errors
        figures.checked_words += words


def count_time(counted: Histogram, time_ms: int | None) -> None:
    if time_ms is not None:
        histogram.add(counted, {bucket_of(time_ms): 1})
