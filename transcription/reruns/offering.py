"""What the recogniser offers to a rerun, and whether that covers what is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from transcription.errors import BadConfig, TranscriptionError
from transcription.options import TranscriptionConfig
from transcription.process import get_process
from transcription.riva.offer import ANY_LANGUAGE, RivaModel, check_offer

DESCRIBE_TIMEOUT_S = 1.0
PREFIX = "config."


async def offered_models() -> list[RivaModel]:
    """Models for streams; none where it does not say them in time: then anything may be asked for."""
    try:
        models = await get_process().recogniser.describe(DESCRIBE_TIMEOUT_S)
    except TranscriptionError:
        return []
    return [model for model in models if model.streaming]


def languages_of(models: Iterable[RivaModel]) -> set[str]:
    return {language for model in models for language in model.languages if language != ANY_LANGUAGE}


def check_offered(models: Sequence[RivaModel], config: TranscriptionConfig) -> None:
    """Raises BadConfig naming `model` or `language`, and listing what there is."""
    try:
        check_offer(models, config)
    except BadConfig as error:
        field = (error.field or "").removeprefix(PREFIX)
        raise BadConfig(error.message, reason=error.reason, field=field) from None
