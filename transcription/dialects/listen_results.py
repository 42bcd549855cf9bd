"""Our results in Deepgram's words: transcripts, words, seconds. Pure."""

from __future__ import annotations

import json
import string
import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from transcription.audio.formats import MS_PER_SECOND
from transcription.dialects.listen_messages import (
    ONLY_CHANNEL,
    Metadata,
    ModelInfo,
    ResultsMetadata,
    Warning,
    build_object,
)
from transcription.dialects.listen_options import ListenOptions
from transcription.results import Alternative, FinalResult, InterimResult, Word

DEFAULT_MODEL = "default"
# The names of models become ids that are the same everywhere.
MODEL_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "model.speechsite")
# Marks inside a word belong to it: "o'clock", "3.5", "e-mail".
MARKS = string.punctuation + "…“”„«»¿¡—\u2013\u2018\u2019"

_encode = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


def seconds(time_ms: int) -> float:
    return time_ms / MS_PER_SECOND


def build_model_info(name: str) -> tuple[str, ModelInfo]:
    """The id of a model and what is said of it."""
    name = name or DEFAULT_MODEL
    return str(uuid.uuid5(MODEL_NAMESPACE, name)), ModelInfo(name=name, version="unknown", arch="unknown")


def bare_word(written: str) -> str:
    """A word in small letters and without the marks around it; a mark alone stays."""
    return written.strip(MARKS).lower() or written


def build_words(words: Sequence[Word], *, punctuated: bool, diarized: bool) -> list[dict[str, Any]]:
    """Items as messages.WordItem, as plain values: they are built for each interim result."""
    items = []
    for word in words:
        item: dict[str, Any] = {
            "word": bare_word(word.word),
            "start": seconds(word.start_ms),
            "end": seconds(word.end_ms),
            "confidence": word.confidence or 0.0,
        }
        if punctuated:
            item["punctuated_word"] = word.word
        if diarized and word.speaker is not None and word.speaker.isdecimal():
            item["speaker"] = int(word.speaker)
        items.append(item)
    return items


def build_alternatives(
    result: InterimResult | FinalResult, *, punctuated: bool, diarized: bool
) -> list[dict[str, Any]]:
    """Best first; only the best one has words, for the recogniser times no others."""
    confidence = result.confidence if isinstance(result, FinalResult) else None
    best, *others = result.alternatives or (Alternative(result.text, confidence),)
    words = build_words(result.words, punctuated=punctuated, diarized=diarized)
    # The text of a result may be joined from several; its first alternative is of the last of them alone.
    first = {"transcript": result.text, "confidence": confidence or best.confidence or 0.0, "words": words}
    return [first] + [
        {"transcript": other.text, "confidence": other.confidence or 0.0, "words": []} for other in others
    ]


def build_results_metadata(session_id: str, model: str) -> dict[str, Any]:
    model_uuid, info = build_model_info(model)
    return build_object(ResultsMetadata(request_id=session_id, model_info=info, model_uuid=model_uuid))


def build_metadata(
    options: ListenOptions,
    *,
    session_id: str,
    model: str,
    sha256: str,
    created: datetime,
    audio_ms: int,
    channels: int,
) -> Metadata:
    """What stands at the end of a stream, and at the head of a file's answer."""
    model_uuid, info = build_model_info(model)
    return Metadata(
        request_id=session_id,
        sha256=sha256,
        created=created.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        duration=seconds(audio_ms),
        channels=channels,
        models=[model_uuid],
        model_info={model_uuid: info},
        tags=list(options.tags) or None,
        extra=options.extra or None,
        warnings=[Warning(parameter=name, message=why) for name, why in options.warnings] or None,
    )


class ResultsBuilder:
    """Puts `Results` together. metadata: as messages.ResultsMetadata."""

    def __init__(self, metadata: dict[str, Any], *, punctuated: bool, diarized: bool) -> None:
        self._metadata = metadata
        self._punctuated = punctuated
        self._diarized = diarized

    def build(
        self, result: InterimResult | FinalResult, *, speech_final: bool = False, from_finalize: bool = False
    ) -> str:
        return _encode(
            {
                "type": "Results",
                "channel_index": ONLY_CHANNEL,
                "duration": seconds(max(0, result.end_ms - result.start_ms)),
                "start": seconds(result.start_ms),
                "is_final": isinstance(result, FinalResult),
                "speech_final": speech_final,
                "channel": {
                    "alternatives": build_alternatives(result, punctuated=self._punctuated, diarized=self._diarized)
                },
                "metadata": self._metadata,
                "from_finalize": from_finalize,
            }
        )

    def build_empty(self, position_ms: int) -> str:
        """What answers a `Finalize` where nothing was open."""
        nothing = FinalResult(text="", start_ms=position_ms, end_ms=position_ms)
        return self.build(nothing, speech_final=True, from_finalize=True)
