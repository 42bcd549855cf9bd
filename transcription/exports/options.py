"""What may be chosen about a file: which text, what else is written, how subtitles are cut. Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from transcription.exports.cues import DEFAULT_LIMITS, CueLimits

MAX_LINE_CHARACTERS = 120
MIN_LINE_CHARACTERS = 10
MAX_LINES = 4
MAX_CHARACTERS_PER_SECOND = 60
MAX_LEAST_CUE_MS = 10_000

WITH_SPEAKERS = frozenset({"txt", "vtt", "csv", "docx"})
WITH_TIMES = frozenset({"docx"})
WITH_GAPS = frozenset({"txt", "csv", "docx"})


class ExportOptions(BaseModel):
    """How a transcript is written. What is left out is as usual for the format.

    JSON and CSV have times of their own, and JSON its gaps; what does not concern a format is ignored.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: Literal["edited", "machine"] = Field(
        default="edited", description="The text as people corrected it, or as it was recognised."
    )
    speakers: bool | None = Field(
        default=None, description="Name speakers; left out: in every format but SubRip. JSON always has them."
    )
    times: bool | None = Field(
        default=None, description="Put the time before each paragraph; left out: in DOCX and not in plain text."
    )
    gaps: bool | None = Field(
        default=None,
        description="Say where audio was lost; left out: in every format but subtitles. JSON always has them.",
    )
    line_characters: Annotated[int, Field(ge=MIN_LINE_CHARACTERS, le=MAX_LINE_CHARACTERS)] = Field(
        default=DEFAULT_LIMITS.line_characters, description="Characters of a line of subtitles at most."
    )
    lines: Annotated[int, Field(ge=1, le=MAX_LINES)] = Field(
        default=DEFAULT_LIMITS.lines, description="Lines of a subtitle at most."
    )
    characters_per_second: Annotated[int, Field(ge=0, le=MAX_CHARACTERS_PER_SECOND)] = Field(
        default=DEFAULT_LIMITS.characters_per_second,
        description="How fast people read: subtitles stay longer where there is room for it. 0: as spoken.",
    )
    min_cue_ms: Annotated[int, Field(ge=0, le=MAX_LEAST_CUE_MS)] = Field(
        default=DEFAULT_LIMITS.least_ms, description="Subtitles stay so long at least, where there is room for it."
    )

    def has_speakers(self, format: str) -> bool:
        return format in WITH_SPEAKERS if self.speakers is None else self.speakers

    def has_times(self, format: str) -> bool:
        return format in WITH_TIMES if self.times is None else self.times

    def has_gaps(self, format: str) -> bool:
        return format in WITH_GAPS if self.gaps is None else self.gaps

    @property
    def cue_limits(self) -> CueLimits:
        return CueLimits(self.line_characters, self.lines, self.characters_per_second, self.min_cue_ms)
