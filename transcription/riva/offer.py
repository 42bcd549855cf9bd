"""What a recogniser says it can do, and whether that covers what a client asks for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from transcription.engine.recognition import Capabilities
from transcription.errors import BadConfig
from transcription.options import TranscriptionConfig

# Names of a model's `parameters` in the configuration query.
TYPE_PARAMETER = "type"
LANGUAGE_PARAMETER = "language_code"
WORD_TIMES_PARAMETER = "word_times"
AUDIO_PROCESSED_PARAMETER = "x-audio-processed"
STOP_HISTORY_PARAMETER = "stop_history"

DEFAULT_STOP_HISTORY_MS = 800

OFFLINE = "offline"
ANY_LANGUAGE = "multi"
ESTIMATED = "estimated"
SETTLED = "settled"


@dataclass(frozen=True, slots=True)
class RivaModel:
    """One model. languages: BCP 47 codes, empty if it does not say. streaming: usable for live audio."""

    name: str
    languages: tuple[str, ...] = ()
    parameters: dict[str, str] = field(default_factory=dict)
    streaming: bool = True


def build_model(name: str, parameters: dict[str, str]) -> RivaModel:
    """A model from the names and values of the configuration query; several languages are split at commas."""
    languages = parameters.get(LANGUAGE_PARAMETER, "").replace(";", ",").split(",")
    return RivaModel(
        name=name,
        languages=tuple(language.strip() for language in languages if language.strip()),
        parameters=parameters,
        streaming=parameters.get(TYPE_PARAMETER, "").lower() != OFFLINE,
    )


def check_offer(models: Iterable[RivaModel], config: TranscriptionConfig) -> tuple[RivaModel, ...]:
    """The streaming models that may serve config; empty if the recogniser says nothing: then ask for anything.

    Raises BadConfig naming `config.model` or `config.language` and listing what there is.
    """
    usable = tuple(model for model in models if model.streaming)
    if not usable:
        return ()
    if config.model:
        named = tuple(model for model in usable if model.name == config.model)
        if not named:
            raise BadConfig(
                _("The recogniser does not have the model %(model)s. It has: %(offered)s.")
                % {"model": config.model, "offered": _listed(model.name for model in usable)},
                reason="unknown_model",
                field="config.model",
            )
        usable = named
    speaking = tuple(model for model in usable if _speaks(model, config.language))
    if not speaking:
        raise BadConfig(
            _("The recogniser does not offer the language %(language)s. It offers: %(offered)s.")
            % {
                "language": config.language,
                "offered": _listed(language for model in usable for language in model.languages),
            },
            reason="unknown_language",
            field="config.language",
        )
    return speaking


def declared_capabilities(models: Iterable[RivaModel], config: TranscriptionConfig) -> Capabilities:
    """What the models that may serve a stream promise, as far as is known before it answers."""
    declared = [model.parameters for model in models]
    estimated = any(parameters.get(WORD_TIMES_PARAMETER) == ESTIMATED for parameters in declared)
    settles = [parameters.get(AUDIO_PROCESSED_PARAMETER) == SETTLED for parameters in declared]
    return Capabilities(
        settles=bool(settles) and all(settles),
        word_times=not estimated,
    )


def with_default_endpointing(
    config: TranscriptionConfig, models: Iterable[RivaModel], capabilities: Capabilities
) -> TranscriptionConfig:
    """The options with the silence that ends an utterance written out.

    A recogniser that declares what it settles knows best, so its own default stays and is reported where it
    says it. Any other is asked for DEFAULT_STOP_HISTORY_MS, in the middle of which the watermark lies safely.
    """
    if config.endpointing.stop_history is not None:
        return config
    stop_history_ms = DEFAULT_STOP_HISTORY_MS
    if capabilities.settles:
        declared = {model.parameters.get(STOP_HISTORY_PARAMETER, "") for model in models}
        if len(declared) != 1 or not (text := declared.pop()).isdecimal():
            return config
        stop_history_ms = int(text)
    endpointing = config.endpointing.model_copy(update={"stop_history": stop_history_ms})
    return config.model_copy(update={"endpointing": endpointing})


def _speaks(model: RivaModel, language: str) -> bool:
    offered = [code.lower() for code in model.languages]
    return not offered or ANY_LANGUAGE in offered or language.lower() in offered


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names)))
