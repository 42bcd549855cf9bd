"""The answer of Deepgram's `POST /v1/listen`. Pure; times are seconds."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from transcription.dialects.listen_messages import build_object
from transcription.dialects.listen_options import ListenOptions
from transcription.dialects.listen_results import build_metadata, build_words, seconds
from transcription.results import FinalResult, Word

SENTENCE_ENDS = (".", "?", "!")
# A paragraph ends with a sentence, at a pause this long or once it has so many.
PARAGRAPH_PAUSE_MS = 1500
PARAGRAPH_SENTENCES = 5


def build_answer(
    finals: Sequence[FinalResult],
    options: ListenOptions,
    *,
    session_id: str,
    model: str,
    sha256: str,
    created: datetime,
    audio_ms: int,
) -> dict[str, Any]:
    metadata = build_metadata(
        options,
        session_id=session_id,
        model=model,
        sha256=sha256,
        created=created,
        audio_ms=audio_ms,
        channels=1,
    )
    words = [word for final in finals for word in final.words]
    alternative: dict[str, Any] = {
        "transcript": " ".join(final.text for final in finals),
        "confidence": _mean_confidence(words),
        "words": build_words(words, punctuated=options.punctuated, diarized=options.diarized),
    }
    if options.paragraphs and words:
        alternative["paragraphs"] = build_paragraphs(words, options)
    results: dict[str, Any] = {"channels": [{"alternatives": [alternative]}]}
    if options.utterances:
        results["utterances"] = [
            build_utterance(number, said, options, session_id=session_id)
            for number, said in enumerate(split_utterances(finals, options))
        ]
    kept = {name: value for name, value in build_object(metadata).items() if name != "type"}
    return {"metadata": kept, "results": results}


def split_utterances(finals: Sequence[FinalResult], options: ListenOptions) -> Iterator[FinalResult]:
    """Finals joined or cut where utterance_split_s say, or the speaker changes; without word times as they are."""
    said: list[Word] = []
    for final in finals:
        if not final.words:
            yield final
            continue
        for word in final.words:
            if said and _is_apart(said[-1], word, options):
                yield _utterance(said)
                said = []
            said.append(word)
    if said:
        yield _utterance(said)


def _is_apart(before: Word, word: Word, options: ListenOptions) -> bool:
    changes = options.diarized and before.speaker != word.speaker
    return changes or word.start_ms - before.end_ms >= options.utterance_split_s * 1000


def _utterance(words: Sequence[Word]) -> FinalResult:
    return FinalResult(
        text=" ".join(word.word for word in words),
        start_ms=words[0].start_ms,
        end_ms=words[-1].end_ms,
        words=tuple(words),
    )


def build_utterance(number: int, said: FinalResult, options: ListenOptions, *, session_id: str) -> dict[str, Any]:
    utterance: dict[str, Any] = {
        "start": seconds(said.start_ms),
        "end": seconds(said.end_ms),
        "confidence": said.confidence or _mean_confidence(said.words),
        "channel": 0,
        "transcript": said.text,
        "words": build_words(said.words, punctuated=options.punctuated, diarized=options.diarized),
        "id": str(uuid.uuid5(uuid.NAMESPACE_OID, f"{session_id}/{number}")),
    }
    speaker = next((word["speaker"] for word in utterance["words"] if "speaker" in word), None)
    return utterance if speaker is None else utterance | {"speaker": speaker}


def build_paragraphs(words: Sequence[Word], options: ListenOptions) -> dict[str, Any]:
    paragraphs = [_paragraph(sentences, options) for sentences in _split_paragraphs(words, options)]
    texts = [" ".join(sentence["text"] for sentence in paragraph["sentences"]) for paragraph in paragraphs]
    return {"transcript": "\n" + "\n\n".join(texts), "paragraphs": paragraphs}


def _split_paragraphs(words: Sequence[Word], options: ListenOptions) -> Iterator[list[list[Word]]]:
    sentences: list[list[Word]] = [[]]
    for word in words:
        before = sentences[-1][-1] if sentences[-1] else None
        if before is not None and options.diarized and before.speaker != word.speaker:
            yield sentences
            sentences = [[]]
        elif before is not None and before.word.endswith(SENTENCE_ENDS):
            pauses = word.start_ms - before.end_ms >= PARAGRAPH_PAUSE_MS
            if pauses or len(sentences) == PARAGRAPH_SENTENCES:
                yield sentences
                sentences = []
            sentences.append([])
        sentences[-1].append(word)
    yield sentences


def _paragraph(sentences: Sequence[Sequence[Word]], options: ListenOptions) -> dict[str, Any]:
    first, last = sentences[0][0], sentences[-1][-1]
    paragraph: dict[str, Any] = {
        "sentences": [
            {
                "text": " ".join(word.word for word in sentence),
                "start": seconds(sentence[0].start_ms),
                "end": seconds(sentence[-1].end_ms),
            }
            for sentence in sentences
        ],
        "num_words": sum(map(len, sentences)),
        "start": seconds(first.start_ms),
        "end": seconds(last.end_ms),
    }
    if options.diarized and first.speaker is not None and first.speaker.isdecimal():
        paragraph["speaker"] = int(first.speaker)
    return paragraph


def _mean_confidence(words: Sequence[Word]) -> float:
    """Of the words that have one; 0.0 where the recogniser sets none."""
    found = [word.confidence for word in words if word.confidence]
    return round(sum(found) / len(found), 4) if found else 0.0
