"""What becomes of each query parameter of `/v1/listen`. The documentation has the same table; a test compares them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Treatment(Enum):
    """HONOURED; ACCEPTED: what it asks for is so anyway; IGNORED: named among the warnings of the answer;
    REFUSED: HTTP 400, unless it is off, since who asked for it would take something for done that is not.
    """

    HONOURED = "honoured"
    ACCEPTED = "accepted"
    IGNORED = "ignored"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Parameter:
    """live, file: what becomes of it on the socket, and of a whole file. note: how, or why not."""

    live: Treatment
    file: Treatment
    note: str


H, A, X, R = Treatment.HONOURED, Treatment.ACCEPTED, Treatment.IGNORED, Treatment.REFUSED

PARAMETERS: dict[str, Parameter] = {
    "model": Parameter(H, H, "a name of the recogniser's; names of Deepgram's models mean its default"),
    "language": Parameter(H, H, "BCP 47; a language alone means its usual region, en is en-US"),
    "encoding": Parameter(
        H,
        H,
        "linear16, mulaw, alaw, flac, opus, ogg-opus; without it the audio begins with a WAV, FLAC, Ogg or WebM header",
    ),
    "sample_rate": Parameter(H, H, "8000-48000; needed with linear16, 8000 where mulaw or alaw come without it"),
    "channels": Parameter(H, H, "1 or 2; the recogniser hears two as one"),
    "interim_results": Parameter(H, X, "false without it"),
    "punctuate": Parameter(H, H, "false without it; smart_format and paragraphs switch it on"),
    "smart_format": Parameter(
        H, H, "punctuation, numbers in digits where the recogniser writes them, paragraphs of a file"
    ),
    "numerals": Parameter(H, H, "numbers in digits where the recogniser writes them"),
    "profanity_filter": Parameter(H, H, ""),
    "alternatives": Parameter(H, X, "1-10; of a whole file there is one"),
    "keywords": Parameter(H, H, "word or word:boost; passed to the recogniser, 1 of Deepgram's as 20 of its"),
    "keyterm": Parameter(H, H, "a word or phrase, passed to the recogniser"),
    "diarize": Parameter(H, H, "words carry speaker where the recogniser tells speakers apart"),
    "diarize_model": Parameter(H, H, "any value switches diarize on; there is one way to do it"),
    "endpointing": Parameter(
        H, X, "ms of silence that end an utterance, up to 10000, below 300 as 300; false: only Finalize is speech_final"
    ),
    "utterance_end_ms": Parameter(H, X, "100-60000; UtteranceEnd after that long without a word"),
    "vad_events": Parameter(H, X, "SpeechStarted when words are heard for the first time after a pause"),
    "tag": Parameter(H, H, "kept in the session's metadata, comes back in Metadata"),
    "extra": Parameter(H, H, "key:value; kept in the session's metadata, comes back in Metadata"),
    "utterances": Parameter(X, H, "results.utterances"),
    "utt_split": Parameter(X, H, "seconds between two utterances, 0.8 without it"),
    "paragraphs": Parameter(X, H, "paragraphs of the alternative; switches punctuate on"),
    "multichannel": Parameter(R, R, "channels are not told apart; one connection or file for each does that"),
    "mip_opt_out": Parameter(A, A, "the service trains nothing"),
    "no_delay": Parameter(A, A, "nothing is held back for formatting"),
    "version": Parameter(X, X, "there is one version"),
    "tier": Parameter(X, X, "there is one"),
    "language_hint": Parameter(X, X, "the language is what language says"),
    "filler_words": Parameter(X, X, "the recogniser writes them or not"),
    "dictation": Parameter(X, X, "spoken marks stay words"),
    "measurements": Parameter(X, X, "units stay as the recogniser writes them"),
    "vad_turnoff": Parameter(X, X, "an older name of what endpointing does"),
    "callback_method": Parameter(X, X, "there is no callback"),
    "callback": Parameter(R, R, "the answer comes on the same connection; webhooks tell of sessions"),
    "redact": Parameter(R, R, "nothing is redacted"),
    "replace": Parameter(R, R, ""),
    "search": Parameter(R, R, "the console and the HTTP API search transcripts"),
    "detect_entities": Parameter(R, R, ""),
    "detect_language": Parameter(R, R, "say it with language"),
    "summarize": Parameter(R, R, ""),
    "sentiment": Parameter(R, R, ""),
    "topics": Parameter(R, R, ""),
    "custom_topic": Parameter(R, R, ""),
    "custom_topic_mode": Parameter(R, R, ""),
    "intents": Parameter(R, R, ""),
    "custom_intent": Parameter(R, R, ""),
    "custom_intent_mode": Parameter(R, R, ""),
}
