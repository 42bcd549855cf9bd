"""Answers in the shapes of OpenAI's transcription endpoint. Pure."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

from transcription.errors import TranscriptionError
from transcription.files.openai_options import OpenAIOptions
from transcription.languages import name_of
from transcription.results import FinalResult, Word

# Statuses that OpenAI's clients expect for some of ours; the others stand as they are.
STATUSES = {404: 404, 405: 405, 410: 504, 422: 400, 490: 409, 502: 502, 504: 504, 507: 503}
CODES = {
    "wrong_key": "invalid_api_key",
    "wrong_token": "invalid_api_key",
    "unknown_model": "model_not_found",
    "file_too_large": "file_too_large",
}
# Where the same thing is called otherwise.
PARAMETERS = {"config.language": "language", "config.model": "model", "config.speech_contexts": "keywords"}


def join_texts(finals: Iterable[FinalResult]) -> str:
    return " ".join(text for text in (final.text.strip() for final in finals) if text)


def build_json(finals: Sequence[FinalResult], options: OpenAIOptions, *, audio_ms: int) -> dict[str, Any]:
    answer: dict[str, Any] = {"text": join_texts(finals), "usage": _usage(audio_ms)}
    if options.wants_logprobs:
        answer["logprobs"] = _logprobs(finals)
    return answer


def build_verbose_json(
    finals: Sequence[FinalResult], options: OpenAIOptions, *, language: str, audio_ms: int
) -> dict[str, Any]:
    """Times in seconds. What no recogniser here says (tokens, probability of no speech) is empty or 0."""
    answer: dict[str, Any] = {
        "task": "transcribe",
        "language": name_of(language),
        "duration": audio_ms / 1000,
        "text": join_texts(finals),
        "usage": _usage(audio_ms),
    }
    if "segment" in options.granularities:
        answer["segments"] = [_segment(number, final) for number, final in enumerate(finals)]
    if "word" in options.granularities:
        answer["words"] = [_word(word) for final in finals for word in final.words]
    return answer


def build_delta(final: FinalResult, options: OpenAIOptions, *, is_first: bool) -> dict[str, Any]:
    """What the next final adds to the text; deltas joined are the text."""
    text = final.text.strip()
    event: dict[str, Any] = {"type": "transcript.text.delta", "delta": text if is_first or not text else f" {text}"}
    if options.wants_logprobs:
        event["logprobs"] = _logprobs([final])
    return event


def build_done(finals: Sequence[FinalResult], options: OpenAIOptions) -> dict[str, Any]:
    event: dict[str, Any] = {"type": "transcript.text.done", "text": join_texts(finals)}
    if options.wants_logprobs:
        event["logprobs"] = _logprobs(finals)
    return event


def server_sent(event: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


def status_of(error: TranscriptionError) -> int:
    return STATUSES.get(error.http_status, error.http_status)


def build_error(error: TranscriptionError) -> dict[str, Any]:
    """`{"error": {message, type, param, code}}`."""
    status = status_of(error)
    kind = "rate_limit_error" if status == 429 else "server_error" if status >= 500 else "invalid_request_error"
    field = error.field
    return {
        "error": {
            "message": error.message,
            "type": kind,
            "param": PARAMETERS.get(field, field) if field else None,
            "code": CODES.get(error.reason, error.reason),
        }
    }


def _segment(number: int, final: FinalResult) -> dict[str, Any]:
    text = final.text.encode()
    return {
        "id": number,
        # In frames of 10 ms, as Whisper counts.
        "seek": final.start_ms // 10,
        "start": final.start_ms / 1000,
        "end": final.end_ms / 1000,
        "text": final.text,
        "tokens": [],
        "temperature": 0.0,
        "avg_logprob": _mean_logprob(final),
        "compression_ratio": len(text) / len(zlib.compress(text)) if text else 0.0,
        "no_speech_prob": 0.0,
    }


def _word(word: Word) -> dict[str, Any]:
    return {"word": word.word, "start": word.start_ms / 1000, "end": word.end_ms / 1000}


def _mean_logprob(final: FinalResult) -> float:
    """0.0 where the recogniser gives no confidence."""
    found = [_log(word.confidence) for word in final.words if word.confidence]
    return sum(found) / len(found) if found else _log(final.confidence or 1.0)


def _logprobs(finals: Iterable[FinalResult]) -> list[dict[str, Any]]:
    """Of the words that have a confidence."""
    return [
        {"token": word.word, "logprob": _log(word.confidence), "bytes": list(word.word.encode())}
        for final in finals
        for word in final.words
        if word.confidence
    ]


def _log(confidence: float) -> float:
    return math.log(min(1.0, max(confidence, 1e-9)))


def _usage(audio_ms: int) -> dict[str, Any]:
    return {"type": "duration", "seconds": math.ceil(audio_ms / 1000)}
