"""Recognised segments as Riva's messages."""

from __future__ import annotations

from riva.client.proto import riva_asr_pb2

from .config import LANGUAGE_CODE, StreamOptions
from .listening import HeardSegment
from .text import masked, without_punctuation
from .words import spread_words


def build_final(segment: HeardSegment, text: str, options: StreamOptions) -> riva_asr_pb2.StreamingRecognitionResult:
    """A final result; `audio_processed` is the position it settles.

    The transcript ends in a space, as Riva's do: NVIDIA's clients join transcripts as they are.
    """
    return riva_asr_pb2.StreamingRecognitionResult(
        alternatives=[build_alternative(segment, text, options, ending=" ")],
        is_final=True,
        channel_tag=1,
        audio_processed=segment.settled_s,
    )


def build_interim(segment: HeardSegment, text: str, options: StreamOptions) -> riva_asr_pb2.StreamingRecognitionResult:
    """An interim result; `audio_processed` is how much was heard, stability stays 0.0 (not set)."""
    return riva_asr_pb2.StreamingRecognitionResult(
        alternatives=[build_alternative(segment, text, options, ending="")],
        channel_tag=1,
        audio_processed=segment.settled_s,
    )


def build_progress(settled_s: float) -> riva_asr_pb2.StreamingRecognitionResult:
    """A result without alternatives: nothing before this position is left to be said."""
    return riva_asr_pb2.StreamingRecognitionResult(channel_tag=1, audio_processed=settled_s)


def build_alternative(
    segment: HeardSegment, text: str, options: StreamOptions, ending: str
) -> riva_asr_pb2.SpeechRecognitionAlternative:
    """The one hypothesis. Confidence stays 0.0 (not set): the model gives none."""
    if options.profanity_filter:
        text = masked(text)
    if not options.punctuation:
        text = without_punctuation(text)
    words = spread_words(text, segment.voiced_ms) if options.word_time_offsets else []
    return riva_asr_pb2.SpeechRecognitionAlternative(
        transcript=text + ending,
        language_code=[LANGUAGE_CODE],
        words=[
            riva_asr_pb2.WordInfo(
                word=word.text,
                start_time=word.start_ms,
                end_time=word.end_ms,
                language_code=LANGUAGE_CODE,
            )
            for word in words
        ],
    )
