"""The page on which an application developer tries the API out, sees its messages and takes the code along."""

from __future__ import annotations

import re

from asgiref.sync import sync_to_async
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.templatetags.static import static
from django.urls import reverse
from django.views.decorators.http import require_safe

from speechsite.config import get_config
from transcription.identity.principals import Principal
from transcription.pages.documents import CHANGELOG, list_titles, render_document
from transcription.pages.views import offered_languages, page
from transcription.rest.code_examples import FOLDER, read_code_examples

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
        "keep_audio": get_config().keep_audio,
        "code_examples": read_code_examples(),
        "limit_ms": round(get_config().session_timeout_minutes * 60_000),
        "sessions_url": reverse("sessions"),
    }
    return render(request, "api.html", context)


@require_safe
@page
def document(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """A document of the version that runs here."""
    found = render_document(name, address_of)
    if found is None:
        raise Http404
    return render(request, "document.html", {"document": found, "titles": list_titles()})


@require_safe
@page
def example_file(request: HttpRequest, principal: Principal, name: str) -> HttpResponse:
    """A file of `examples/`, to be read or saved."""
    names = {path.name for path in FOLDER.iterdir() if path.is_file()}
    if name not in names:
        raise Http404
    return HttpResponse((FOLDER / name).read_bytes(), content_type="text/plain; charset=utf-8")


def address_of(path: str) -> str | None:
    """Where a file of the repository is served: documents, examples and what pages load; None: nowhere."""
    if path == "CHANGELOG.md":
        return reverse("document", args=[CHANGELOG])
    if found := re.fullmatch(r"docs/([\w-]+)\.md", path):
        return reverse("document", args=[found[1]])
    if found := re.fullmatch(r"examples/([\w.-]+)", path):
        return reverse("example_file", args=[found[1]])
    if path.startswith("static/"):
        return static(path.removeprefix("static/"))
    return None
