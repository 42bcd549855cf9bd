"""What the API takes about reviews."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, WithJsonSchema, field_validator, model_validator

from transcription.options import NO_NUL, refuse_unstorable
from transcription.review.figures import DOUBTFUL_BELOW
from transcription.review.models import MAX_NOTE_CHARACTERS, MAX_SPEAKER_CHARACTERS
from transcription.review.operations import MAX_TEXT_CHARACTERS

MAX_FIND_CHARACTERS = 500
MAX_VERSION = 2**31 - 1
# 24 h of audio, as long as a session may be asked to have been.
MAX_TIME_MS = 24 * 3600 * 1000
MAX_SEGMENTS = 500
DEFAULT_SEGMENTS = 200
MAX_HISTORY = 100
MAX_DOUBTFUL = 1000


# What has a character that is no white space.
WITH_A_WORD = r"^[^\x00]*[^\s\x00][^\x00]*$"


def _text(limit: int, least: int = 0, pattern: str = NO_NUL) -> Any:
    """A text as JSON schemas can say it: without NUL."""
    schema: dict[str, Any] = {"type": "string", "maxLength": limit, "pattern": pattern}
    if least:
        schema["minLength"] = least
    return StringConstraints(max_length=limit, min_length=least), WithJsonSchema(schema)


SegmentText = Annotated[str, *_text(MAX_TEXT_CHARACTERS)]
PartText = Annotated[str, *_text(MAX_TEXT_CHARACTERS, least=1, pattern=WITH_A_WORD)]
SpeakerName = Annotated[str, *_text(MAX_SPEAKER_CHARACTERS)]
SearchedText = Annotated[str, *_text(MAX_FIND_CHARACTERS, least=1)]
ReplacingText = Annotated[str, *_text(MAX_FIND_CHARACTERS)]
NoteText = Annotated[str, *_text(MAX_NOTE_CHARACTERS)]
Version = Annotated[int, Field(ge=0, le=MAX_VERSION)]
TimeMs = Annotated[int, Field(ge=0, le=MAX_TIME_MS)]
Threshold = Annotated[float, Field(ge=0, le=1)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _is_whole(cls, value: Any) -> Any:
        """JSON has one kind of number: 3.0 is an integer."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @model_validator(mode="after")
    def _is_storable(self) -> Any:
        refuse_unstorable(self.model_dump())
        return self


class SegmentChange(_Request):
    """version: of the segment when it was read. What is not set stays. speaker: "" for nobody named."""

    version: Version
    text: SegmentText | None = None
    speaker: SpeakerName | None = None
    reviewed: bool | None = None


class SplitRequest(_Request):
    """before, after: the texts of the two parts, with at least one word each."""

    version: Version
    before: PartText
    after: PartText


class MergeRequest(_Request):
    """previous_version: of the segment before. text: of both; without it theirs one after the other."""

    version: Version
    previous_version: Version
    text: SegmentText | None = None


class RenameRequest(_Request):
    """version: of the review. speaker: as it is, "" for segments without one. name: as it shall be."""

    version: Version
    speaker: SpeakerName
    name: SpeakerName


class ReplaceRequest(_Request):
    """version: of the review."""

    version: Version
    find: SearchedText
    replace: ReplacingText
    match_case: bool = False


class VersionRequest(_Request):
    """version: of the review."""

    version: Version


class LockRequest(_Request):
    """take: also from somebody else."""

    take: bool = False


class NewNote(_Request):
    kind: Literal["bookmark", "note"]
    time_ms: TimeMs
    text: NoteText = ""


class NoteChange(_Request):
    """What is not set stays."""

    time_ms: TimeMs | None = None
    text: NoteText | None = None


class PartQuery(BaseModel):
    """Which part of the transcript."""

    first: Annotated[int, Field(ge=0, le=MAX_VERSION)] = Field(
        default=0, alias="from", description="The number of the machine's segment to begin with."
    )
    limit: int = Field(default=DEFAULT_SEGMENTS, ge=1, le=MAX_SEGMENTS, description="Of the machine's segments.")


class FindQuery(BaseModel):
    find: SearchedText
    match_case: bool = False

    @field_validator("find")
    @classmethod
    def _is_storable(cls, value: str) -> str:
        refuse_unstorable(value)
        return value


class BelowQuery(BaseModel):
    below: float = Field(default=DOUBTFUL_BELOW, ge=0, le=1, description="Words of less confidence are doubtful.")


class DoubtfulQuery(BelowQuery):
    limit: int = Field(default=MAX_DOUBTFUL, ge=1, le=MAX_DOUBTFUL)


class HistoryQuery(BaseModel):
    before: int | None = Field(default=None, ge=0, le=MAX_VERSION, description="Entries with a smaller number.")
    limit: int = Field(default=20, ge=1, le=MAX_HISTORY)
