"""The page on which an application developer tries the API out, sees its messages and takes the code along."""

from __future__ import annotations

from asgiref.sync import sync_to_async
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from speechsite.config import get_config
from transcription.code_examples import read_code_examples
from transcription.principals import Principal
from transcription.views import offered_languages, page

# What a page can make of the sound it captures; other encodings come from files and telephones.
ENCODINGS = ("LINEAR_PCM", "MULAW", "ALAW")
SAMPLE_RATES_HZ = (8000, 16000, 24000, 44100, 48000)


@require_safe
async def api_page(request: HttpRequest) -> HttpResponseBase:
    """Open to whoever may open the socket."""
    languages = await offered_languages()
    return await sync_to_async(_api_page)(request, languages)


@page
def _api_page(request: HttpRequest, principal: Principal, languages: list[str]) -> HttpResponse:
    context = {
        "languages": languages,
        "encodings": ENCODINGS,
        "sample_rates_hz": SAMPLE_RATES_HZ,
        "code_examples": read_code_examples(),
        "limit_ms": round(get_config().session_timeout_minutes * 60_000),
        "sessions_url": reverse("sessions"),
    }
    return render(request, "api.html", context)
