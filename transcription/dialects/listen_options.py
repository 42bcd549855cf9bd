"""The options of `/v1/listen`: Deepgram's query parameters as our config. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from transcription.audio.formats import Encoding
from transcription.dialects.listen_parameters import PARAMETERS, Treatment
from transcription.dialects.listen_query import ListenQuery, shown
from transcription.errors import BadConfig
from transcription.languages import choose_language
from transcription.options import parse_config

ENCODINGS = {
    "linear16": Encoding.LINEAR_PCM,
    "mulaw": Encoding.MULAW,
    "alaw": Encoding.ALAW,
    "flac": Encoding.FLAC,
    "opus": Encoding.OGGOPUS,
    "ogg-opus": Encoding.OGGOPUS,
}
# Others of Deepgram's: in a file, whatever its bytes begin with counts.
IN_FILES_ONLY = ("linear32", "amr-nb", "amr-wb", "speex", "g729")
G711_RATE_HZ = 8000
CONTAINER_RATE_HZ = 16000
# Deepgram's models, by the first part of their names: which of them is meant says nothing to another recogniser.
FOREIGN_MODELS = (
    "nova", "enhanced", "base", "general", "meeting", "phonecall", "finance", "conversationalai", "voicemail",
    "video", "medical", "drivethru", "automotive", "whisper", "flux", "custom",
)  # fmt: skip
# An utterance decoded for each breath has more wrong words than one that ends at a pause.
MIN_ENDPOINTING_MS = 300
KEYTERM_BOOST = 20.0
MAX_BOOST = 100.0
# Our names, where a value is refused only as part of the config.
NAMES = {
    "language": "language",
    "model": "model",
    "speech_contexts": "keyterm",
    "metadata": "extra",
    "encoding": "encoding",
}


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """What a client asked for.

    config: fields of TranscriptionConfig; those of the audio's format only where has_format: else the audio says it.
    language: as it was asked for, for whoever knows what the recogniser offers.
    ends_utterances: whether a pause makes speech_final true. warnings: what is ignored or changed, and why.
    """

    config: dict[str, Any]
    has_format: bool = True
    language: str = ""
    interim_results: bool = False
    punctuated: bool = False
    diarized: bool = False
    ends_utterances: bool = True
    utterance_end_ms: int | None = None
    vad_events: bool = False
    utterances: bool = False
    utterance_split_s: float = 0.8
    paragraphs: bool = False
    tags: tuple[str, ...] = ()
    extra: dict[str, str] = field(default_factory=dict)
    warnings: tuple[tuple[str, str], ...] = ()


def parse_options(text: str, *, is_file: bool = False) -> ListenOptions:
    """Read a query. Raises BadConfig with the parameter's name as `field`."""
    query = ListenQuery(text)
    warnings = _judge(query, is_file)
    paragraphs = is_file and (query.flag("paragraphs") or query.flag("smart_format"))
    punctuated = query.flag("punctuate") or query.flag("smart_format") or paragraphs
    diarized = query.flag("diarize") or query.is_on("diarize_model")
    vad_events = not is_file and query.flag("vad_events")
    interim_results = not is_file and query.flag("interim_results")
    utterance_end_ms = None if is_file else query.whole("utterance_end_ms", at_least=100, at_most=60_000)
    endpointing_ms, ends_utterances = (None, True) if is_file else _endpointing(query, warnings)
    tags, extra = query.texts("tag"), _extra(query)
    config: dict[str, Any] = {
        "language": choose_language(query.text("language") or "", ()),
        "model": _model(query),
        # Their words say where an utterance begins and ends.
        "enable_interim_results": interim_results or vad_events or utterance_end_ms is not None,
        "words_in_interims": interim_results,
        "enable_automatic_punctuation": punctuated,
        "max_alternatives": (None if is_file else query.whole("alternatives", at_least=1, at_most=10)) or 1,
        "profanity_filter": query.flag("profanity_filter"),
        "verbatim_transcripts": not (query.flag("numerals") or query.flag("smart_format")),
        "speech_contexts": _speech_contexts(query),
        "diarization": {"enable": diarized},
        "metadata": extra | ({"tag": ", ".join(tags)} if tags else {}),
    }
    if endpointing_ms is not None:
        config["endpointing"] = {"stop_history": endpointing_ms}
    audio = _audio(query, is_file)
    options = ListenOptions(
        config=config | (audio or {}),
        has_format=audio is not None,
        language=query.text("language") or "",
        interim_results=interim_results,
        punctuated=punctuated,
        diarized=diarized,
        ends_utterances=ends_utterances,
        utterance_end_ms=utterance_end_ms,
        vad_events=vad_events,
        utterances=is_file and query.flag("utterances"),
        utterance_split_s=(query.number("utt_split", at_least=0, at_most=60) if is_file else None) or 0.8,
        paragraphs=paragraphs,
        tags=tags,
        extra=extra,
        warnings=tuple(warnings),
    )
    _check(options)
    return options


def _judge(query: ListenQuery, is_file: bool) -> list[tuple[str, str]]:
    """The warnings. Raises BadConfig for a parameter that is refused."""
    warnings = []
    for name in query.names:
        # language_hint[0] and the like
        parameter = PARAMETERS.get(name.partition("[")[0])
        if parameter is None:
            warnings.append((shown(name), "unknown"))
            continue
        treatment = parameter.file if is_file else parameter.live
        if treatment is Treatment.REFUSED and query.is_on(name):
            raise BadConfig(
                f"{name} is not supported: {parameter.note}." if parameter.note else f"{name} is not supported.",
                reason="unsupported",
                field=name,
            )
        if treatment is Treatment.IGNORED and query.is_on(name):
            warnings.append((name, parameter.note))
    return warnings


def _check(options: ListenOptions) -> None:
    """Whether the config holds: lengths, numbers of phrases and pairs, the language's form."""
    try:
        parse_config(options.config, prefix="")
    except BadConfig as error:
        ours = (error.field or "").partition(".")[0]
        name = NAMES.get(ours, ours)
        raise BadConfig(f"{name}: {error.message.partition(': ')[2]}", field=name) from None


def _model(query: ListenQuery) -> str:
    model = query.text("model") or ""
    return "" if model.lower().partition("-")[0] in FOREIGN_MODELS else model


def _endpointing(query: ListenQuery, warnings: list[tuple[str, str]]) -> tuple[int | None, bool]:
    """The silence that ends an utterance in ms, None for the usual one, and whether it is told as speech_final."""
    text = (query.text("endpointing") or "true").lower()
    if text in ("true", "false"):
        return None, text == "true"
    asked_ms = query.whole("endpointing", at_least=0, at_most=10_000)
    assert asked_ms is not None  # noqa: S101 - there is a text
    if asked_ms < MIN_ENDPOINTING_MS:
        warnings.append(("endpointing", f"taken as {MIN_ENDPOINTING_MS} ms"))
    return max(asked_ms, MIN_ENDPOINTING_MS), True


def _audio(query: ListenQuery, is_file: bool) -> dict[str, Any] | None:
    """The format as declared, None where the audio itself says it."""
    name = query.text("encoding")
    rate_hz = query.whole("sample_rate", at_least=8000, at_most=48000)
    channels = query.whole("channels", at_least=1, at_most=2) or 1
    if name is None:
        return None
    if is_file and name.lower() in IN_FILES_ONLY:
        return None
    encoding = ENCODINGS.get(name.lower())
    if encoding is None:
        raise BadConfig(f"encoding: {shown(name)} is not one of {', '.join(ENCODINGS)}.", field="encoding")
    if encoding in (Encoding.FLAC, Encoding.OGGOPUS):
        # The container says it; what is declared beside it does not matter.
        rate_hz, channels = rate_hz or CONTAINER_RATE_HZ, channels
    elif rate_hz is None and encoding is Encoding.LINEAR_PCM:
        if is_file:
            # Usually a WAV.
            return None
        raise BadConfig("sample_rate: linear16 needs it.", field="sample_rate")
    return {
        "encoding": str(encoding),
        "sample_rate_hertz": rate_hz or G711_RATE_HZ,
        "audio_channel_count": channels,
    }


def _speech_contexts(query: ListenQuery) -> list[dict[str, Any]]:
    """Phrases by boost: Deepgram's keywords carry a factor of their own, its keyterms none."""
    phrases: dict[float, list[str]] = {}
    if keyterms := query.texts("keyterm"):
        phrases[KEYTERM_BOOST] = list(keyterms)
    for keyword in query.texts("keywords"):
        word, _colon, factor = keyword.rpartition(":")
        try:
            boost = KEYTERM_BOOST * float(factor) if word else KEYTERM_BOOST
        except ValueError:
            raise BadConfig(f"keywords: {shown(keyword)} is not word or word:boost.", field="keywords") from None
        if not -MAX_BOOST <= boost <= MAX_BOOST:
            raise BadConfig("keywords: boosts are from -5 to 5.", field="keywords")
        phrases.setdefault(boost, []).append(word or keyword)
    return [{"phrases": listed, "boost": boost} for boost, listed in phrases.items()]


def _extra(query: ListenQuery) -> dict[str, str]:
    pairs = {}
    for text in query.texts("extra"):
        key, colon, value = text.partition(":")
        if not (key and colon):
            raise BadConfig(f"extra: {shown(text)} is not key:value.", field="extra")
        pairs[key] = value
    return pairs
