"""What clients of OpenAI's transcription endpoint ask for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from transcription.errors import BadConfig
from transcription.languages import choose_language

FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
STREAMED_FORMATS = ("json", "text")
GRANULARITIES = ("word", "segment")
INCLUDES = ("logprobs",)
# Names by which clients ask for "the" model, whatever it is here.
USUAL_MODELS = frozenset({"", "default"})
USUAL_MODEL_PREFIXES = ("whisper", "gpt-", "distil-whisper", "openai/")
TRUE, FALSE = ("true", "1"), ("false", "0", "")
MAX_PHRASES = 500
MAX_PHRASE_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class OpenAIOptions:
    """model: "" for the default one. language, languages: as given, "" and none for not at all. keywords: to expect."""

    model: str = ""
    language: str = ""
    response_format: str = "json"
    granularities: tuple[str, ...] = ("segment",)
    stream: bool = False
    wants_logprobs: bool = False
    keywords: tuple[str, ...] = ()

    def config(self, offered: Sequence[str], *, title: str) -> dict[str, Any]:
        """The options of the session. offered: the languages of the recogniser, empty if it does not say."""
        config: dict[str, Any] = {"model": self.model, "title": title}
        language = choose_language(self.language, offered)
        if language:
            config["language"] = language
        if self.keywords:
            config["speech_contexts"] = [{"phrases": list(self.keywords)}]
        return config


def parse_options(fields: Mapping[str, Sequence[str]]) -> OpenAIOptions:
    """Raises BadConfig naming the field. Fields that mean nothing here (`prompt`, `temperature` and the like, and
    any that are not known) are taken and have no effect.
    """
    response_format = one_of(fields, "response_format") or "json"
    if response_format not in FORMATS:
        raise _bad("response_format", FORMATS)
    granularities = _many(fields, "timestamp_granularities")
    for granularity in granularities:
        if granularity not in GRANULARITIES:
            raise _bad("timestamp_granularities", GRANULARITIES)
    if granularities and response_format != "verbose_json":
        raise BadConfig(
            _("timestamp_granularities needs the response_format verbose_json."), field="timestamp_granularities"
        )
    stream = _flag(fields, "stream")
    if stream and response_format not in STREAMED_FORMATS:
        raise BadConfig(
            _("The response_format %(format)s cannot be streamed; choose one of: %(formats)s.")
            % {"format": response_format, "formats": ", ".join(STREAMED_FORMATS)},
            field="response_format",
        )
    include = _many(fields, "include")
    for name in include:
        if name not in INCLUDES:
            raise _bad("include", INCLUDES)
    _check_temperature(one_of(fields, "temperature"))
    languages = _many(fields, "languages")
    return OpenAIOptions(
        model=model_name(one_of(fields, "model")),
        language=one_of(fields, "language") or (languages[0] if languages else ""),
        response_format=response_format,
        granularities=tuple(granularities) or ("segment",),
        stream=stream,
        wants_logprobs="logprobs" in include,
        keywords=keywords_of(fields),
    )


def model_name(asked: str) -> str:
    """The recogniser's name of a model, "" for its default one."""
    is_usual = asked.lower() in USUAL_MODELS or asked.lower().startswith(USUAL_MODEL_PREFIXES)
    return "" if is_usual else asked


def one_of(fields: Mapping[str, Sequence[str]], name: str) -> str:
    """The value of a field, "" without one. Raises BadConfig if it is given more than once."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise BadConfig(_("%(name)s is given more than once.") % {"name": name}, field=name)
    return values[0].strip() if values else ""


def _many(fields: Mapping[str, Sequence[str]], name: str) -> list[str]:
    """The values of a list, as clients send it: the field again and again, with or without brackets."""
    return [value.strip() for value in [*fields.get(f"{name}[]", ()), *fields.get(name, ())] if value.strip()]


def _flag(fields: Mapping[str, Sequence[str]], name: str) -> bool:
    value = one_of(fields, name).lower()
    if value not in TRUE + FALSE:
        raise _bad(name, ("true", "false"))
    return value in TRUE


def _check_temperature(text: str) -> None:
    try:
        is_right = not text or 0 <= float(text) <= 1
    except ValueError:
        is_right = False
    if not is_right:
        raise BadConfig(_("temperature must be a number between 0 and 1."), field="temperature")


def keywords_of(fields: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Words and phrases to expect. Raises BadConfig for too many or too long ones."""
    words = _many(fields, "keywords")
    if len(words) > MAX_PHRASES or any(len(word) > MAX_PHRASE_CHARACTERS for word in words):
        raise BadConfig(
            _("keywords may be at most %(count)d, of %(length)d characters each.")
            % {"count": MAX_PHRASES, "length": MAX_PHRASE_CHARACTERS},
            field="keywords",
        )
    return tuple(words)


def _bad(name: str, allowed: Sequence[str]) -> BadConfig:
    return BadConfig(
        _("%(name)s must be one of: %(allowed)s.") % {"name": name, "allowed": ", ".join(allowed)}, field=name
    )
