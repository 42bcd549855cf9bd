"""What the recogniser can do, over the HTTP API."""

from __future__ import annotations

from typing import Protocol

from django.http import HttpRequest
from django.utils.translation import gettext as _
from ninja import Router, Schema

from transcription.errors import AtCapacity, TranscriptionError
from transcription.identity.scopes import Scope
from transcription.process import get_process
from transcription.rest.authentication import principal_of
from transcription.rest.errors import COMMON_ERRORS
from transcription.rest.schemas import ErrorAnswer
from transcription.riva.offer import RivaModel

RECOGNISER_TIMEOUT_S = 3.0
RECOGNISER_RETRY_AFTER_MS = 5000

router = Router(tags=["service"])


class ModelItem(Schema):
    """languages: BCP 47 codes, none if it does not say. streaming: usable for live audio."""

    name: str
    languages: list[str]
    streaming: bool
    parameters: dict[str, str]


class ModelsAnswer(Schema):
    """models: none if the recogniser does not name them; then anything may be asked for."""

    models: list[ModelItem]


class Recogniser(Protocol):
    """What is asked of one here."""

    async def describe(self, timeout_s: float | None = None) -> list[RivaModel]: ...

    async def ready(self, timeout_s: float) -> None: ...


@router.get(
    "/models",
    operation_id="list_models",
    summary="What the recogniser says it can do",
    response={200: ModelsAnswer, COMMON_ERRORS: ErrorAnswer},
)
async def list_models(request: HttpRequest) -> ModelsAnswer:
    principal_of(request, Scope.TRANSCRIBE)
    return await describe_models(get_process().recogniser)


async def describe_models(recogniser: Recogniser, timeout_s: float = RECOGNISER_TIMEOUT_S) -> ModelsAnswer:
    """The models, as they were named within the last minute. Raises AtCapacity where no recogniser answers."""
    models = await recogniser.describe(timeout_s)
    if not models:
        try:
            await recogniser.ready(timeout_s)
        except TranscriptionError:
            raise AtCapacity(
                _("The recogniser does not answer. Please try again."),
                reason="recogniser_unavailable",
                retry_after_ms=RECOGNISER_RETRY_AFTER_MS,
            ) from None
    return ModelsAnswer(
        models=[
            ModelItem(
                name=model.name,
                languages=list(model.languages),
                streaming=model.streaming,
                parameters=model.parameters,
            )
            for model in models
        ]
    )
